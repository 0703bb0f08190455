//! Sessions that the application makes: their names are seen in its responses, and a table keeps where each belongs.
//!
//! Nothing is stored until a response confirms a name; a request alone creates nothing, unless the configuration asks for it.
//! Names themselves are kept nowhere: the table has their fingerprints.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::HeaderMap;
use smallvec::SmallVec;

use super::answers::AppSignal;
use super::spec::{LearnAt, LearnSpec, NewTieOn};
use crate::http::cookie::{CookieNames, Cookies};
use crate::http::request::Request;
use crate::ids::ServerId;
use crate::lock::Mutex;
use crate::session::claim::{BadClaim, Claim, Issuer, Named, ServerName};
use crate::session::fingerprint::Fingerprint;
use crate::session::fingerprint_key::FingerprintKey;
use crate::session::name::SessionName;
use crate::session::server_ref::ServerRef;
use crate::source::{Readers, ResponseSource, Said};
use crate::table::{
    BudgetSpec, CreationBudget, Known, ServerHandle, ServerIndex, Session, Table, TableName, TableSpec, Tied, TooManyServers,
};
use crate::time::{Now, UnixSeconds};

/// What an application writes into a session's cookie to end it, in some frameworks.
const NO_NAME: &[u8] = b"deleted";

/// A request that says more names than this, or a response, is nobody's: the others are not looked up.
const MOST_NAMES: usize = 16;

/// The tables of a configuration, by name.
#[derive(Debug)]
pub struct Tables {
    key: Arc<FingerprintKey>,
    by_name: HashMap<TableName, Arc<Learned>>,
}

/// A table, and what its clients may create in it.
#[derive(Debug)]
pub struct Learned {
    table: Arc<Table>,
    key: Arc<FingerprintKey>,
    budget: Mutex<CreationBudget>,
    spec: BudgetSpec,
}

/// An entry that learns.
#[derive(Debug)]
pub struct LearnEntry {
    learned: Arc<Learned>,
    create: Box<[ResponseSource]>,
    create_from_requests: Readers,
    lookup: Readers,
    at: LearnAt,
    min_length: usize,
    new_tie_on: NewTieOn,
    /// The upstream's servers, in their order.
    servers: Box<[ServerHandle]>,
    by_index: HashMap<ServerIndex, ServerId, rustc_hash::FxBuildHasher>,
}

/// Why an entry cannot learn.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unlearnable {
    #[error("there is no table {0}")]
    NoTable(TableName),
    #[error("table {table}: {full}")]
    Full { table: TableName, full: TooManyServers },
}

/// Names of sessions, each once.
pub type Names = SmallVec<[Fingerprint; 2]>;

/// The names that a request carries for one entry.
#[derive(Debug, Default)]
pub struct Carrying {
    pub names: Names,
    /// Names that the request alone may create.
    pub offered: Names,
}

/// What a request's claims are read for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The request has come: its session lives, and is seen now.
    Serve,
    /// Somebody wants to know where it would go: it is no sign of life of its session.
    Explain,
}

/// What a response says to an entry that learns.
#[derive(Debug, Default)]
pub struct Heard {
    pub created: Names,
    /// The application has ended the session that the request named.
    pub ended: bool,
}

/// A session to be learned when the response is complete.
#[derive(Debug)]
pub struct Pending {
    learned: Arc<Learned>,
    name: Fingerprint,
    server: ServerHandle,
    client: IpAddr,
}

impl Tables {
    /// Makes the tables of a configuration. Those that `earlier` has too keep their sessions, and go on as they are until
    /// [`Self::begin`].
    pub fn new(specs: &[(TableSpec, BudgetSpec)], key: &Arc<FingerprintKey>, earlier: Option<&Self>) -> Self {
        let same_key = earlier.filter(|earlier| earlier.key.id() == key.id());
        let learned = |(spec, budget): &(TableSpec, BudgetSpec)| {
            let before = same_key.and_then(|tables| tables.by_name.get(&spec.name));
            (spec.name.clone(), Learned::succeeding(before, spec, *budget, key))
        };
        Self { key: Arc::clone(key), by_name: specs.iter().map(learned).collect() }
    }

    /// Lets the tables go on by what they were made from, when nothing can keep the configuration from coming into force.
    pub fn begin(&self, specs: Vec<(TableSpec, BudgetSpec)>, now: UnixSeconds) {
        for (spec, _) in specs {
            let table = self.by_name.get(&spec.name).map(|learned| &learned.table);
            if let Some(table) = table.filter(|table| *table.spec() != spec) {
                table.succeed(spec, now);
            }
        }
    }

    /// All tables, in no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_name.values().map(|learned| &learned.table)
    }

    /// All of them with what their clients may create, in no order.
    pub fn learned(&self) -> impl Iterator<Item = &Arc<Learned>> {
        self.by_name.values()
    }

    pub fn get(&self, name: &TableName) -> Option<&Arc<Learned>> {
        self.by_name.get(name)
    }
}

impl Learned {
    /// The table goes on with its sessions; all of it as it is, where nothing is said of it that was not said before.
    fn succeeding(before: Option<&Arc<Self>>, spec: &TableSpec, budget: BudgetSpec, key: &Arc<FingerprintKey>) -> Arc<Self> {
        let table = match before {
            Some(before) if *before.table.spec() == *spec && before.spec == budget => return Arc::clone(before),
            Some(before) => Arc::clone(&before.table),
            None => Arc::new(Table::new(spec.clone())),
        };
        Arc::new(Self { table, key: Arc::clone(key), budget: Mutex::new(CreationBudget::new(budget)), spec: budget })
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// What its table keeps in place of this name.
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        self.key.fingerprint(name)
    }

    /// Ties a name to a server, in the class that its client's budget allows.
    fn tie(&self, name: Fingerprint, server: &ServerHandle, client: IpAddr, now: UnixSeconds) -> Tied {
        let known = matches!(self.table.find(name, now), Known::Session(_));
        let budget = if known { crate::table::Budget::Within } else { self.budget.lock().spend(&self.key, client, now) };
        self.table.tie(name, server, budget, now)
    }
}

impl Pending {
    /// The response is complete: the session is learned.
    pub fn apply(&self, now: UnixSeconds) -> Tied {
        self.learned.tie(self.name, &self.server, self.client, now)
    }
}

impl LearnEntry {
    /// # Errors
    /// There is no such table, or it can take no more servers.
    pub(super) fn new(
        spec: LearnSpec,
        tables: &Tables,
        members: &[ServerRef<'_>],
        names: &mut CookieNames,
    ) -> Result<Self, Unlearnable> {
        let Some(learned) = tables.get(&spec.table).map(Arc::clone) else {
            return Err(Unlearnable::NoTable(spec.table));
        };
        let servers = members.iter().map(|member| learned.table.register(member.id));
        let servers: Box<[ServerHandle]> =
            servers.collect::<Result<_, _>>().map_err(|full| Unlearnable::Full { table: spec.table.clone(), full })?;
        let by_index = servers.iter().zip(members).map(|(server, member)| (server.index(), member.id.clone())).collect();
        Ok(Self {
            learned,
            create: spec.create.into(),
            create_from_requests: Readers::bind(spec.create_from_requests, names),
            lookup: Readers::bind(spec.lookup, names),
            at: spec.at,
            min_length: spec.min_length,
            new_tie_on: spec.new_tie_on,
            servers,
            by_index,
        })
    }

    pub fn table(&self) -> &Arc<Table> {
        &self.learned.table
    }

    /// Whether it learns into this very table, with the same budget.
    pub(crate) fn learns_into(&self, learned: &Arc<Learned>) -> bool {
        Arc::ptr_eq(&self.learned, learned)
    }

    /// Sessions in the table that live on the server at this position: exact to a tenth of the idle time.
    pub fn live(&self, at: usize, now: Now) -> u64 {
        self.learned.table.count(self.servers[at].index(), now.wall)
    }

    pub fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    /// What a request carries.
    pub fn carrying<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Carrying {
        Carrying {
            names: self.names(&self.lookup, request, cookies),
            offered: self.names(&self.create_from_requests, request, cookies),
        }
    }

    /// The first name that the table knows ties the session; the others are in use, too. One that it does not know is a
    /// session all the same: it goes where its parallel requests go.
    pub fn claim(&self, names: &Names, purpose: Purpose, now: Now) -> Claim<'static> {
        let mut bad: Option<BadClaim> = None;
        let mut tie: Option<(Fingerprint, Session)> = None;
        for &name in names {
            let known = match purpose {
                Purpose::Serve => self.learned.table.look(name, now.wall),
                Purpose::Explain => self.learned.table.find(name, now.wall),
            };
            match known {
                Known::Session(known) => tie = tie.or(Some((name, known))),
                Known::Expired(why) => bad = bad.or(Some(why)),
                Known::Unknown => {}
            }
        }
        let Some((name, known)) = tie else {
            return names.first().map_or(Claim::Absent, |&name| Claim::Fresh(session(name), bad));
        };
        let server = self.by_index.get(&known.server).cloned().map_or(ServerName::Stranger, ServerName::Id);
        Claim::Names(server, Named { session: Some(session(name)), stamps: Some(known.stamps), issuer: Issuer::Burdock })
    }

    /// What a response with these headers says.
    pub fn hear(&self, headers: &HeaderMap, now: Now) -> Heard {
        let mut heard = Heard::default();
        for said in self.create.iter().flat_map(|source| source.read(headers, now.wall.0)) {
            match said {
                Said::Named(name) => self.add(&mut heard.created, name),
                Said::Ended => heard.ended = true,
            }
        }
        heard
    }

    pub(super) fn spoken(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        let Heard { created, ended } = self.hear(headers, now);
        match (created.is_empty(), ended) {
            (false, _) => AppSignal::Creates,
            (true, true) => AppSignal::Deletes,
            (true, false) => AppSignal::Silent,
        }
    }

    /// Ties a session that the application has confirmed to the server at this position; at once, or when the response is
    /// complete.
    pub fn learn(&self, name: Fingerprint, at: usize, client: IpAddr, now: Now) -> Result<Tied, Pending> {
        let server = &self.servers[at];
        match self.at {
            LearnAt::Headers => Ok(self.learned.tie(name, server, client, now.wall)),
            LearnAt::End => Err(Pending { learned: Arc::clone(&self.learned), name, server: server.clone(), client }),
        }
    }

    /// Ties what is known of these names to the server at this position; whether any was another's.
    pub fn move_to(&self, names: &Names, at: usize, now: Now) -> Moved {
        let server = &self.servers[at];
        let elsewhere = |known: Known| matches!(known, Known::Session(known) if known.server != server.index());
        let mut moved = Moved::None;
        for &name in names.iter().filter(|&&name| elsewhere(self.learned.table.find(name, now.wall))) {
            self.learned.table.tie(name, server, crate::table::Budget::Within, now.wall);
            moved = Moved::Some;
        }
        moved
    }

    pub fn forget(&self, names: &Names, now: Now) -> Moved {
        let forgotten = names.iter().filter_map(|&name| self.learned.table.forget(name, now.wall)).count();
        if forgotten == 0 { Moved::None } else { Moved::Some }
    }

    fn names<'r>(&self, readers: &Readers, request: &Request<'r>, cookies: &Cookies<'r>) -> Names {
        let mut names = Names::new();
        readers.each(request, cookies, |found| self.add(&mut names, found.text()));
        names
    }

    fn add(&self, names: &mut Names, name: &[u8]) {
        if name.len() < self.min_length || name.eq_ignore_ascii_case(NO_NAME) || names.len() == MOST_NAMES {
            return;
        }
        let fingerprint = self.learned.key.fingerprint(name);
        if !names.contains(&fingerprint) {
            names.push(fingerprint);
        }
    }
}

/// Whether anything in the table changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moved {
    Some,
    None,
}

fn session(name: Fingerprint) -> SessionName {
    SessionName::key(&name.bytes())
}
