//! `learn` entries: the application creates the sessions, Burdock reads their names in its responses, and a table maps each
//! to its server.
//!
//! A session is stored only when a response confirms its name. A request alone creates one only if the configuration says
//! so. Names are never stored: the table holds their fingerprints. How it stores them is not known here.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ::http::HeaderMap;

use super::answers::{AppSignal, Writes};
use super::incoming::{IncomingRequest, Names, Purpose, RequestNames};
use super::learn_table::{DeferredLearn, LearnTable, Tables};
use super::persistence::{Persistence, PersistenceSpec};
use super::spec::NewTieOn;
use crate::http::cookie::{CookieNames, Cookies};
use crate::http::request::Request;
use crate::ids::ServerId;
use crate::session::claim::{BadClaim, Claim, Issuer, Named, ServerName};
use crate::session::fingerprint::Fingerprint;
use crate::session::name::SessionName;
use crate::session::server_ref::ServerRef;
use crate::source::{Readers, ResponseSource, SessionSignal, Source};
use crate::table::{Budget, Known, ServerHandle, ServerIndex, Session, Table, TableName, Tied, TooManyServers};
use crate::time::Now;

/// The cookie value by which some frameworks end a session.
const ENDED_VALUE: &[u8] = b"deleted";

/// The most names that are read from one request or response. No real client sends more; the others are ignored.
const MAX_NAMES: usize = 16;

/// A learn entry as configured.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LearnSpec {
    pub table: TableName,
    /// Where a response names a session.
    pub create: Vec<ResponseSource>,
    /// Where a request names a session that is learned without the application's confirmation. Any client can then fill the
    /// table.
    pub create_from_requests: Vec<Source>,
    /// Where a request names its session. Every name that it carries counts.
    pub lookup: Vec<Source>,
    pub at: LearnAt,
    /// Names with fewer bytes are ignored.
    pub min_length: usize,
    pub new_tie_on: NewTieOn,
}

/// When a session is learned.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum LearnAt {
    /// At the response's head, so that the client's next request finds it even while the body is still being sent.
    #[default]
    Headers,
    /// When the response is complete (nginx without `header`).
    End,
}

/// A learn entry in use.
#[derive(Debug)]
pub struct LearnMethod {
    learn_table: Arc<LearnTable>,
    create: Box<[ResponseSource]>,
    create_from_requests: Readers,
    lookup: Readers,
    at: LearnAt,
    min_length: usize,
    new_tie_on: NewTieOn,
    /// The upstream's servers, in the configuration's order.
    servers: Box<[ServerHandle]>,
    by_index: HashMap<ServerIndex, ServerId, rustc_hash::FxBuildHasher>,
}

/// Why an entry cannot learn.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LearnError {
    #[error("there is no table {0}")]
    NoTable(TableName),
    #[error("table {table}: {full}")]
    Full { table: TableName, full: TooManyServers },
}

/// What a response does with sessions, for one learn entry.
#[derive(Debug, Default)]
pub struct ResponseSignals {
    pub created: Names,
    /// The application has ended the session that the request named.
    pub ended: bool,
}

impl PersistenceSpec for LearnSpec {
    fn compare(&self, other: &Self) -> Vec<(&'static str, bool)> {
        // Destructured so that no new field is forgotten.
        let Self { table, create, create_from_requests, lookup, at, min_length, new_tie_on } = self;
        vec![
            ("create", *create == other.create),
            ("create_from_requests", *create_from_requests == other.create_from_requests),
            ("lookup", *lookup == other.lookup),
            ("table", *table == other.table),
            ("learn_at", *at == other.at),
            ("min_length", *min_length == other.min_length),
            ("new_tie_on", *new_tie_on == other.new_tie_on),
        ]
    }

    fn reads_alike(&self, other: &Self) -> bool {
        self.table == other.table && self.lookup == other.lookup
    }
}

impl Persistence for LearnMethod {
    const LABEL: &'static str = "learn";

    /// The first name in the table ties the session; the other names count as seen too. A name that is not in the table
    /// still is a session: its parallel requests go to one server.
    fn claim<'r>(&self, incoming: &IncomingRequest<'_, 'r>) -> Claim<'r> {
        let Some(RequestNames { lookup: names, .. }) = incoming.names else { return Claim::Absent };
        let mut bad: Option<BadClaim> = None;
        let mut tie: Option<(Fingerprint, Session)> = None;
        for &name in names {
            match self.look(name, incoming.purpose, incoming.now) {
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

    fn names<'r>(&self, request: &Request<'r>, cookies: &Cookies<'r>) -> Option<RequestNames> {
        Some(RequestNames {
            lookup: self.read(&self.lookup, request, cookies),
            offered: self.read(&self.create_from_requests, request, cookies),
        })
    }

    fn writes(&self) -> Writes {
        Writes::InTable
    }

    fn signal(&self, headers: &HeaderMap, now: Now) -> AppSignal {
        let ResponseSignals { created, ended } = self.read_response(headers, now);
        match (created.is_empty(), ended) {
            (false, _) => AppSignal::Creates,
            (true, true) => AppSignal::Deletes,
            (true, false) => AppSignal::Silent,
        }
    }

    fn new_tie_on(&self) -> NewTieOn {
        self.new_tie_on
    }

    fn idle(&self) -> Option<u32> {
        self.table().spec().lifetime.idle
    }
}

impl fmt::Display for LearnMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "learn {}", self.table().spec().name)
    }
}

impl LearnMethod {
    /// # Errors
    /// The table does not exist, or cannot name more servers.
    pub(super) fn new(
        spec: LearnSpec,
        tables: &Tables,
        servers: &[ServerRef<'_>],
        cookies: &mut CookieNames,
    ) -> Result<Self, LearnError> {
        let Some(learn_table) = tables.get(&spec.table).map(Arc::clone) else {
            return Err(LearnError::NoTable(spec.table));
        };
        let handles = servers.iter().map(|server| learn_table.table().register(server.id));
        let handles: Box<[ServerHandle]> =
            handles.collect::<Result<_, _>>().map_err(|full| LearnError::Full { table: spec.table.clone(), full })?;
        let numbered = handles.iter().zip(servers);
        let by_index = numbered.map(|(handles, server)| (handles.index(), server.id.clone())).collect();
        Ok(Self {
            learn_table,
            create: spec.create.into(),
            create_from_requests: Readers::bind(spec.create_from_requests, cookies),
            lookup: Readers::bind(spec.lookup, cookies),
            at: spec.at,
            min_length: spec.min_length,
            new_tie_on: spec.new_tie_on,
            servers: handles,
            by_index,
        })
    }

    pub fn table(&self) -> &Arc<Table> {
        self.learn_table.table()
    }

    /// Whether it learns into this table, with the same budget.
    pub(crate) fn learns_into(&self, learn_table: &Arc<LearnTable>) -> bool {
        Arc::ptr_eq(&self.learn_table, learn_table)
    }

    /// The live sessions in the table of the server at this position: exact to a tenth of the idle time.
    pub fn live(&self, at: usize, now: Now) -> u64 {
        self.table().count(self.servers[at].index(), now.wall)
    }

    /// Reads the sessions that a response with these headers creates or ends.
    pub fn read_response(&self, headers: &HeaderMap, now: Now) -> ResponseSignals {
        let mut signals = ResponseSignals::default();
        for signal in self.create.iter().flat_map(|source| source.read(headers, now.wall.0)) {
            match signal {
                SessionSignal::Named(name) => self.add(&mut signals.created, name),
                SessionSignal::Ended => signals.ended = true,
            }
        }
        signals
    }

    /// Ties a session that the application has confirmed to the server at this position: at once, or when the response is
    /// complete.
    pub fn learn(&self, name: Fingerprint, at: usize, client: IpAddr, now: Now) -> Result<Tied, DeferredLearn> {
        let server = &self.servers[at];
        match self.at {
            LearnAt::Headers => Ok(self.learn_table.tie(name, server, client, now)),
            LearnAt::End => {
                let table = Arc::clone(&self.learn_table);
                Err(DeferredLearn { table, name, server: server.clone(), client })
            }
        }
    }

    /// Moves the sessions with these names to the server at this position. Returns whether any belonged to another server.
    pub fn move_to(&self, names: &Names, at: usize, now: Now) -> Moved {
        let server = &self.servers[at];
        let elsewhere = |known: Known| matches!(known, Known::Session(known) if known.server != server.index());
        let mut moved = Moved::None;
        for &name in names.iter().filter(|&&name| elsewhere(self.table().find(name, now.wall))) {
            self.table().tie(name, server, Budget::Within, now.date());
            moved = Moved::Some;
        }
        moved
    }

    pub fn forget(&self, names: &Names, now: Now) -> Moved {
        let forgotten = names.iter().filter_map(|&name| self.table().forget(name, now.date())).count();
        if forgotten == 0 { Moved::None } else { Moved::Some }
    }

    fn look(&self, name: Fingerprint, purpose: Purpose, now: Now) -> Known {
        self.table().skip(now.skipped);
        match purpose {
            Purpose::Serve => self.table().look(name, now.wall),
            Purpose::Explain => self.table().find(name, now.wall),
        }
    }

    fn read<'r>(&self, readers: &Readers, request: &Request<'r>, cookies: &Cookies<'r>) -> Names {
        let mut names = Names::new();
        readers.each(request, cookies, |found| self.add(&mut names, found.text()));
        names
    }

    fn add(&self, names: &mut Names, name: &[u8]) {
        if name.len() < self.min_length || name.eq_ignore_ascii_case(ENDED_VALUE) || names.len() == MAX_NAMES {
            return;
        }
        let fingerprint = self.learn_table.fingerprint(name);
        if !names.contains(&fingerprint) {
            names.push(fingerprint);
        }
    }
}

/// Whether the table changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moved {
    Some,
    None,
}

fn session(name: Fingerprint) -> SessionName {
    SessionName::key(&name.bytes())
}
