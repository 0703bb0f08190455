//! Session tables by name, each with the budget for what clients may create in it. Tables survive reloads. This file does
//! not know which entries learn into them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use crate::lock::Mutex;
use crate::session::fingerprint::Fingerprint;
use crate::session::fingerprint_key::FingerprintKey;
use crate::table::{Budget, BudgetSpec, CreationBudget, Known, ServerHandle, Table, TableName, TableSpec, Tied};
use crate::time::{Now, UnixSeconds};

/// The tables of a configuration, by name.
#[derive(Debug)]
pub struct Tables {
    key: Arc<FingerprintKey>,
    by_name: HashMap<TableName, Arc<LearnTable>>,
}

/// A table with its creation budget.
#[derive(Debug)]
pub struct LearnTable {
    table: Arc<Table>,
    key: Arc<FingerprintKey>,
    budget: Mutex<CreationBudget>,
    spec: BudgetSpec,
}

/// A session to be learned when the response is complete.
#[derive(Debug)]
pub struct DeferredLearn {
    pub(super) table: Arc<LearnTable>,
    pub(super) name: Fingerprint,
    pub(super) server: ServerHandle,
    pub(super) client: IpAddr,
}

impl Tables {
    /// Creates the tables of a configuration. Tables that `earlier` has too keep their sessions, and do not change until
    /// [`Self::begin`].
    pub fn new(specs: &[(TableSpec, BudgetSpec)], key: &Arc<FingerprintKey>, earlier: Option<&Self>) -> Self {
        let same_key = earlier.filter(|earlier| earlier.key.id() == key.id());
        let learned = |(spec, budget): &(TableSpec, BudgetSpec)| {
            let before = same_key.and_then(|tables| tables.by_name.get(&spec.name));
            (spec.name.clone(), LearnTable::succeeding(before, spec, *budget, key))
        };
        Self { key: Arc::clone(key), by_name: specs.iter().map(learned).collect() }
    }

    /// Applies the new specs to the tables. Call it once nothing can prevent the configuration from being applied.
    pub fn begin(&self, specs: Vec<(TableSpec, BudgetSpec)>, now: UnixSeconds) {
        for (spec, _) in specs {
            let table = self.by_name.get(&spec.name).map(|learned| &learned.table);
            if let Some(table) = table.filter(|table| *table.spec() != spec) {
                table.succeed(spec, now);
            }
        }
    }

    /// All tables, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.by_name.values().map(|learned| &learned.table)
    }

    /// All tables with their budgets, in no particular order.
    pub fn learned(&self) -> impl Iterator<Item = &Arc<LearnTable>> {
        self.by_name.values()
    }

    pub fn get(&self, name: &TableName) -> Option<&Arc<LearnTable>> {
        self.by_name.get(name)
    }
}

impl LearnTable {
    /// A table that keeps the sessions of `before`. If neither spec changed, it is `before` itself.
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

    /// The fingerprint that the table stores instead of this name.
    pub fn fingerprint(&self, name: &[u8]) -> Fingerprint {
        self.key.fingerprint(name)
    }

    /// Ties a name to a server, in the eviction class that the client's budget allows.
    pub(super) fn tie(&self, name: Fingerprint, server: &ServerHandle, client: IpAddr, now: Now) -> Tied {
        let known = matches!(self.table.find(name, now.wall), Known::Session(_));
        let budget = if known { Budget::Within } else { self.budget.lock().spend(&self.key, client, now.wall) };
        self.table.tie(name, server, budget, now.date())
    }
}

impl DeferredLearn {
    /// Learns the session, because the response is complete.
    pub fn apply(&self, now: Now) -> Tied {
        let tied = self.table.tie(self.name, &self.server, self.client, now);
        // The client has the response already.
        self.table.table.hurry();
        tied
    }
}
