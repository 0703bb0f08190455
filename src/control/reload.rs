//! Reloading: reads, checks, compares and applies a new configuration, as a whole or not at all.

use std::io;

use burdock::balancer::diff;
use burdock::balancer::diff::{Difference, Moves};
use burdock::config::{Config, Errors};
use burdock::sticky::secrets::Secrets;

use crate::control::actor::Actor;
use crate::control::change::{ChangeError, Control};
use crate::control::desired::Desired;
use crate::control::persist::{Persisted, WriteAck};
use crate::runtime::bearer::{Bearer, TokenError};
use crate::runtime::directories;
use crate::runtime::keys;
use crate::runtime::keys::KeyError;
use crate::runtime::own_listeners;
use crate::runtime::own_listeners::OwnListener;
use crate::telemetry::metrics::Reloaded;

/// What a reload applies.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReloadMode {
    /// Everything, or nothing.
    Whole,
    /// Everything that needs no new process.
    Partial,
    /// Nothing: it only reports what would change.
    DryRun,
}

/// What a reload changed, or would change.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    pub mode: ReloadMode,
    pub differences: Vec<Difference>,
    /// Changed sections that need a new process.
    pub needs_upgrade: Vec<&'static str>,
    /// Notes about keys and secrets.
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
    pub persisted: Persisted,
}

/// Why a configuration was not applied. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    #[error("cannot read {file}: {error}")]
    Unreadable { file: String, error: io::Error },
    #[error("{0}")]
    Wrong(Errors),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(
        "{} changed, which needs a new process: run `burdock upgrade`, or use --partial to apply the rest",
        .0.join(", ")
    )]
    NeedsUpgrade(Vec<&'static str>),
    #[error("{}", own_listeners::listed(.0))]
    OwnListener(Vec<OwnListener>),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Control {
    /// Reloads the configuration file. Returns when the change is on disk.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing has changed.
    pub fn reload(&self, mode: ReloadMode, by: &Actor) -> Result<ReloadReport, ReloadError> {
        let (report, ack) = self.start_reload(mode, by)?;
        let persisted = ack.map_or(Persisted::Yes, WriteAck::wait);
        Ok(ReloadReport { persisted, ..report })
    }

    /// As [`Self::reload`], but returns before the change is on disk.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing has changed.
    pub(crate) fn start_reload(
        &self,
        mode: ReloadMode,
        by: &Actor,
    ) -> Result<(ReloadReport, Option<WriteAck>), ReloadError> {
        let now = self.now().wall;
        let (report, ack) = self.try_reload(mode).inspect_err(|error| match mode {
            ReloadMode::DryRun => {}
            ReloadMode::Whole | ReloadMode::Partial => {
                log::error!(target: "audit", "audit: {}: nothing changed: {error}", by.0);
                self.state.serving.metrics.reloaded(Reloaded::Refused, now);
            }
        })?;
        if ack.is_some() {
            self.log_reload(&report, by);
            self.state.serving.metrics.reloaded(Reloaded::Applied, now);
        }
        Ok((report, ack))
    }

    /// The ack is none for a dry run.
    fn try_reload(&self, mode: ReloadMode) -> Result<(ReloadReport, Option<WriteAck>), ReloadError> {
        let guard = self.lock_changes()?;
        let config = self.read()?;
        let needs_upgrade = needs_upgrade(&guard.desired.config, &config);
        if mode == ReloadMode::Whole && !needs_upgrade.is_empty() {
            return Err(ReloadError::NeedsUpgrade(needs_upgrade));
        }
        let next = guard.desired.with(config)?;
        let token = Bearer::read(&next.config.admin)?;
        let mut report = self.report(mode, &guard.desired, &next, needs_upgrade);
        if self.state.bearer.differs_from(token.as_deref()) {
            report.notes.push("the token in admin.token_file changed".to_owned());
        }
        match mode {
            ReloadMode::DryRun => Ok((report, None)),
            ReloadMode::Whole | ReloadMode::Partial => {
                let ack = self.publish(&guard, next, &[]).map_err(ChangeError::from)?;
                self.state.bearer.renew(token);
                Ok((report, Some(ack)))
            }
        }
    }

    fn read(&self) -> Result<Config, ReloadError> {
        let file = self.file.display().to_string();
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) => return Err(ReloadError::Unreadable { file, error }),
        };
        let config = Config::parse_with(&file, &text, directories::defaults()).map_err(ReloadError::Wrong)?;
        let loops = own_listeners::among_servers(&config);
        if loops.is_empty() { Ok(config) } else { Err(ReloadError::OwnListener(loops)) }
    }

    fn report(&self, mode: ReloadMode, desired: &Desired, next: &Desired, needs_upgrade: Vec<&'static str>) -> ReloadReport {
        let live = self.state.serving.generation.load();
        ReloadReport {
            mode,
            differences: diff::between(&desired.wanted(), &next.wanted(), &live.balancer, self.now()),
            needs_upgrade,
            notes: notes(desired, next),
            warnings: warnings(&next.config),
            persisted: Persisted::Yes,
        }
    }

    fn log_reload(&self, report: &ReloadReport, by: &Actor) {
        report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let count = report.differences.len();
        by.audit(format_args!("reloaded {}; differences: {count}", self.file.display()));
        report.differences.iter().for_each(|difference| by.audit(difference));
        report.notes.iter().for_each(|note| by.audit(note));
        for section in &report.needs_upgrade {
            log::warn!("{section} changed in {}, which needs a new process: run `burdock upgrade`", self.file.display());
        }
    }
}

impl ReloadReport {
    /// The sessions that move at once.
    pub fn moves(&self) -> Moves {
        self.differences.iter().map(|difference| difference.moves).fold(Moves::default(), Moves::plus)
    }
}

impl Desired {
    /// The desired state with another configuration. Sections that need a new process keep their current values.
    fn with(&self, config: Config) -> Result<Self, KeyError> {
        let (listeners, process) = (self.config.listeners.clone(), self.config.process.clone());
        let (admin, access_log) = (self.config.admin.clone(), self.config.access_log.clone());
        let config = Config { listeners, process, admin, access_log, ..config };
        let secrets = keys::reload(&config, &self.secrets)?;
        let mut discovered = self.discovered.clone();
        let wanted = config.plan.lookups();
        discovered.retain(|lookup| wanted.contains(lookup));
        Ok(Self { config, secrets, changes: self.changes.clone(), leaving: self.leaving.clone(), discovered })
    }
}

fn needs_upgrade(now: &Config, next: &Config) -> Vec<&'static str> {
    let sections = [
        ("listeners", now.listeners == next.listeners),
        ("admin", now.admin == next.admin),
        ("process", now.process == next.process),
        ("access_log", now.access_log == next.access_log),
    ];
    sections.into_iter().filter(|(_, same)| !same).map(|(section, _)| section).collect()
}

/// What is allowed but probably not intended, in the file and of the keys that it names.
fn warnings(config: &Config) -> Vec<String> {
    config.warnings.iter().map(ToString::to_string).chain(keys::warnings(config)).collect()
}

/// Notes about keys and secrets, whose values no difference shows. They are named by their ids and places.
fn notes(desired: &Desired, next: &Desired) -> Vec<String> {
    let mut notes = key_notes(&desired.secrets, &next.secrets);
    let (before, after) = (&desired.secrets.fingerprints, &next.secrets.fingerprints);
    if before.id() != after.id() && !desired.config.plan.tables.is_empty() {
        notes.push("fingerprint_key changed: all learned sessions are forgotten".to_owned());
    } else if before.id() != after.id() {
        notes.push("fingerprint_key changed: hashed sessions get other servers".to_owned());
    }
    let mut others: Vec<String> = next.secrets.changed_from(&desired.secrets).map(keys::place).collect();
    others.sort();
    notes.extend(others.iter().map(|place| format!("the secret from {place} changed")));
    notes
}

fn key_notes(before: &Secrets, after: &Secrets) -> Vec<String> {
    let ids = |secrets: &Secrets| secrets.ring.ids().map(|id| id.to_string()).collect::<Vec<_>>();
    let (before, after) = (ids(before), ids(after));
    let mut notes = Vec::new();
    if let (Some(old), Some(new)) = (before.first(), after.first())
        && old != new
    {
        notes.push(format!("the sealing key changed from {old} to {new}"));
    }
    let only_in = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|id| !those.contains(id)).cloned().collect()
    };
    match &*only_in(&before, &after) {
        [] => {}
        dropped => notes.push(format!("keys dropped: {}; their tokens are no longer accepted", dropped.join(", "))),
    }
    match &*only_in(&after, &before) {
        [] => {}
        added => notes.push(format!("keys added: {}", added.join(", "))),
    }
    notes
}
