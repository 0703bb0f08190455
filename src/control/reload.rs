//! A new configuration while the process runs: read, checked, compared, and taken up whole or not at all.

use std::io;

use burdock::balancer::diff;
use burdock::balancer::diff::{Difference, Moves};
use burdock::config::{Config, Errors};

use crate::control::actor::Actor;
use crate::control::change::{ChangeError, Control};
use crate::control::desired::Desired;
use crate::control::persist::{Persisted, WriteAck};
use crate::runtime::bearer::{Bearer, TokenError};
use crate::runtime::keys;
use crate::runtime::keys::KeyError;
use crate::telemetry::metrics::Reloaded;

/// How far a reload goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReloadMode {
    /// All of it, or nothing.
    Whole,
    /// What only another process can take up is left as it is; the rest is taken up.
    Partial,
    /// Nothing: it is only said what would happen.
    DryRun,
}

/// What a reload did, or would do.
#[derive(Clone, Debug)]
pub struct ReloadReport {
    pub mode: ReloadMode,
    pub differences: Vec<Difference>,
    /// Sections that are otherwise and that only another process can take up.
    pub needs_upgrade: Vec<&'static str>,
    /// What there is to say of keys.
    pub notes: Vec<String>,
    pub warnings: Vec<String>,
    pub persisted: Persisted,
}

/// Why a configuration was not taken up. Everything is as it was.
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
        "{} {} otherwise, which only another process can take up: run `burdock upgrade`, or reload \
         the rest alone (--partial)",
        .0.join(", "),
        if .0.len() == 1 { "is" } else { "are" }
    )]
    NeedsUpgrade(Vec<&'static str>),
    #[error(transparent)]
    Change(#[from] ChangeError),
}

impl Control {
    /// Reads the configuration file again and takes up what it says. It is on disk when this comes back.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing is changed.
    pub fn reload(&self, mode: ReloadMode, by: &Actor) -> Result<ReloadReport, ReloadError> {
        let (report, ack) = self.take_up(mode, by)?;
        let persisted = ack.map_or(Persisted::Yes, WriteAck::wait);
        Ok(ReloadReport { persisted, ..report })
    }

    /// As [`Self::reload`], but what it changes may still be on its way to the disk.
    ///
    /// # Errors
    /// [`ReloadError`]; then nothing is changed.
    pub(crate) fn take_up(&self, mode: ReloadMode, by: &Actor) -> Result<(ReloadReport, Option<WriteAck>), ReloadError> {
        let now = self.now().wall;
        let (report, ack) = self.try_reload(mode).inspect_err(|error| match mode {
            ReloadMode::DryRun => {}
            ReloadMode::Whole | ReloadMode::Partial => {
                log::error!(target: "audit", "audit: {}: nothing is changed: {error}", by.0);
                self.state.serving.metrics.reloaded(Reloaded::Refused, now);
            }
        })?;
        if ack.is_some() {
            self.log_reload(&report, by);
            self.state.serving.metrics.reloaded(Reloaded::Applied, now);
        }
        Ok((report, ack))
    }

    /// None is ack where nothing was to be changed.
    fn try_reload(&self, mode: ReloadMode) -> Result<(ReloadReport, Option<WriteAck>), ReloadError> {
        let turn = self.turn()?;
        let config = self.read()?;
        let needs_upgrade = needs_upgrade(&turn.desired.config, &config);
        if mode == ReloadMode::Whole && !needs_upgrade.is_empty() {
            return Err(ReloadError::NeedsUpgrade(needs_upgrade));
        }
        let next = turn.desired.with(config)?;
        let token = Bearer::read(&next.config.admin)?;
        let report = self.report(mode, &turn.desired, &next, needs_upgrade);
        match mode {
            ReloadMode::DryRun => Ok((report, None)),
            ReloadMode::Whole | ReloadMode::Partial => {
                let ack = self.publish(&turn, next, &[]).map_err(ChangeError::from)?;
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
        Config::parse(&file, &text).map_err(ReloadError::Wrong)
    }

    fn report(&self, mode: ReloadMode, desired: &Desired, next: &Desired, needs_upgrade: Vec<&'static str>) -> ReloadReport {
        let live = self.state.serving.generation.load();
        ReloadReport {
            mode,
            differences: diff::between(&desired.wanted(), &next.wanted(), &live.balancer, self.now()),
            needs_upgrade,
            notes: notes(desired, next),
            warnings: next.config.warnings.iter().map(ToString::to_string).collect(),
            persisted: Persisted::Yes,
        }
    }

    fn log_reload(&self, report: &ReloadReport, by: &Actor) {
        report.warnings.iter().for_each(|warning| log::warn!("{warning}"));
        let many = report.differences.len();
        by.audit(format_args!("took up {}; differences: {many}", self.file.display()));
        report.differences.iter().for_each(|difference| by.audit(difference));
        report.notes.iter().for_each(|note| by.audit(note));
        for section in &report.needs_upgrade {
            log::warn!("{section} is otherwise in {}, which only another process can take up", self.file.display());
        }
    }
}

impl ReloadReport {
    /// All sessions that move at once.
    pub fn moves(&self) -> Moves {
        self.differences.iter().map(|difference| difference.moves).fold(Moves::default(), Moves::plus)
    }
}

impl Desired {
    /// What is wanted with another configuration. Of its sections that only another process can take up those in force stay.
    fn with(&self, config: Config) -> Result<Self, KeyError> {
        let (listeners, process) = (self.config.listeners.clone(), self.config.process.clone());
        let (admin, access_log) = (self.config.admin.clone(), self.config.access_log.clone());
        let config = Config { listeners, process, admin, access_log, ..config };
        let secrets = keys::again(&config, &self.secrets)?;
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

fn notes(desired: &Desired, next: &Desired) -> Vec<String> {
    let mut notes = Vec::new();
    let ids = |desired: &Desired| desired.secrets.ring.ids().collect::<Vec<_>>();
    let (before, after) = (ids(desired), ids(next));
    if before.first() != after.first() {
        notes.push("another key seals".to_owned());
    }
    match before.iter().filter(|id| !after.contains(id)).count() {
        0 => {}
        gone => notes.push(format!("keys dropped: {gone}; tokens that they sealed are no longer good")),
    }
    match after.iter().filter(|id| !before.contains(id)).count() {
        0 => {}
        new => notes.push(format!("keys added: {new}")),
    }
    if desired.secrets.fingerprints.id() != next.secrets.fingerprints.id() && !desired.config.plan.tables.is_empty() {
        notes.push("another fingerprint_key: every learned session is forgotten".to_owned());
    }
    notes
}
