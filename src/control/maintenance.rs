//! Background work: removes leaving servers that have no sessions left, drops the metrics of removed servers, and reloads the
//! configuration file on SIGHUP or, if it is watched, when it changes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use burdock::balancer::drain::DrainStage;
use burdock::ids::{ServerId, UpstreamName};
use burdock::time::Uptime;
use burdock::upstream::spec::Admin;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{SignalKind, signal};

use crate::control::actor::Actor;
use crate::control::change::{ChangeError, Control};
use crate::control::persist::WriteAck;
use crate::control::reload::{ReloadError, ReloadMode};

use crate::runtime::readiness::Watcher;
use crate::runtime::systemd;

/// How often leaving servers are checked.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How long the metrics of a removed server can still be scraped.
const SERIES_RETENTION: Duration = Duration::from_secs(600);

/// Reloads the configuration on SIGHUP and, if the file is watched, when it changes.
pub struct ReloadService(pub Arc<Control>);

/// Removes leaving servers and old metrics.
pub struct MaintenanceService(pub Arc<Control>);

#[async_trait]
impl BackgroundService for ReloadService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let hangup = signal(SignalKind::hangup());
        self.0.state.serving.readiness.set_watching(Watcher::Reloading);
        let Ok(mut hangup) = hangup else {
            log::error!("cannot watch for SIGHUP: use `burdock ctl reload` to reload");
            return;
        };
        let watch = self.0.desired().config.process.watch;
        let mut seen = self.0.seen();
        loop {
            let by = tokio::select! {
                _ = hangup.recv() => "SIGHUP",
                () = changed(&self.0, watch, seen) => "file watch",
                _ = shutdown.wait_for(|ending| *ending) => return,
            };
            let (control, stamp) = (Arc::clone(&self.0), self.0.stamp());
            let reload = move || control.start_reload(ReloadMode::Whole, &Actor(by.to_owned()));
            systemd::reloading();
            let reloaded = tokio::task::spawn_blocking(reload).await;
            match &reloaded {
                // If the upgrade fails, the file must still be applied.
                Ok(Err(ReloadError::Change(ChangeError::Leaving))) => {}
                // A panic in the reload has been logged and must not end the watch.
                Ok(_) | Err(_) => seen = stamp,
            }
            match reloaded {
                Ok(Ok((_, Some(ack)))) => notify_when_persisted(ack),
                Ok(Ok((_, None)) | Err(_)) | Err(_) => systemd::reloaded(),
            }
        }
    }
}

/// Notifies systemd once the change is on disk; the next reload does not wait for that.
fn notify_when_persisted(ack: WriteAck) {
    tokio::task::spawn_blocking(move || {
        let _ = ack.wait();
        systemd::reloaded();
    });
}

/// Returns when the file differs from `seen` and has not changed for one more interval: an editor may still be writing. During an
/// upgrade nothing can be applied.
async fn changed(control: &Control, every: Option<Duration>, seen: Stamp) {
    let Some(every) = every else { return std::future::pending().await };
    let mut last = seen;
    loop {
        tokio::time::sleep(every).await;
        let now = control.stamp();
        if now == last && now != seen && !control.state.serving.readiness.is_handing_over() {
            return;
        }
        last = now;
    }
}

/// When the file was last written, and its size; none if it cannot be read.
type Stamp = Option<(SystemTime, u64)>;

#[async_trait]
impl BackgroundService for MaintenanceService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut series = Series::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(POLL_INTERVAL) => {}
                _ = shutdown.wait_for(|ending| *ending) => return,
            }
            let control = Arc::clone(&self.0);
            let updated = tokio::task::spawn_blocking(move || {
                control.remove_drained();
                control.tidy();
                series.update(&control);
                series
            });
            series = updated.await.unwrap_or_default();
        }
    }
}

impl Control {
    /// The file's stamp, if the file still is what this process has read: it may have changed before the watch began, while a new
    /// process waited for the sockets.
    fn seen(&self) -> Stamp {
        let stamp = self.stamp();
        let text = std::fs::read_to_string(&self.file).ok()?;
        stamp.filter(|_| text == *self.desired.load().config.text.0)
    }

    fn stamp(&self) -> Stamp {
        let metadata = std::fs::metadata(&self.file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }

    /// Frees the numbers of servers that no session needs.
    fn tidy(&self) {
        let live = self.state.serving.generation.load_full();
        for table in live.balancer.tables().all() {
            table.tidy();
        }
    }

    /// Publishes a generation without the leaving servers that no session needs.
    fn remove_drained(&self) {
        let Ok(guard) = self.lock_changes() else { return };
        let now = self.now();
        let live = self.state.serving.generation.load_full();
        let done = live.balancer.upstreams().iter().flat_map(|upstream| {
            let servers = upstream.upstream().servers().iter().enumerate();
            let leaving = servers.filter(|(_, server)| matches!(server.spec().admin, Admin::Leaving { .. }));
            leaving
                .filter(move |(at, _)| upstream.draining(*at, now).stage == DrainStage::Complete)
                .map(|(_, server)| format!("{}/{}", upstream.upstream().name().as_str(), server.id().as_str()))
        });
        let done: Vec<String> = done.collect();
        if done.is_empty() {
            return;
        }
        match self.publish(&guard, guard.next(), &[]) {
            Ok(ack) => {
                log::info!("removed, no sessions left: {}", done.join(", "));
                ack.detach();
            }
            Err(error) => log::error!("{error}"),
        }
    }
}

/// The servers that have metrics.
#[derive(Default)]
struct Series {
    known: HashSet<(UpstreamName, ServerId)>,
    gone: Vec<(Uptime, (UpstreamName, ServerId))>,
}

impl Series {
    fn update(&mut self, control: &Control) {
        // A generation that brings a server back must find its series, or make them again.
        let Ok(_no_change_in_progress) = control.lock_changes() else { return };
        let state = &control.state.serving;
        let now = state.clock.uptime();
        let live: HashSet<_> = state
            .generation
            .load()
            .upstreams()
            .iter()
            .flat_map(|handle| {
                let upstream = handle.sticky.upstream();
                let pair = |server: &burdock::upstream::server::Server| (upstream.name().clone(), server.id().clone());
                upstream.servers().iter().map(pair).collect::<Vec<_>>()
            })
            .collect();
        self.gone.extend(self.known.difference(&live).map(|server| (now, server.clone())));
        self.gone.retain(|(since, server)| {
            if live.contains(server) {
                return false;
            }
            let keep = now.since(*since) < SERIES_RETENTION;
            if !keep {
                state.metrics.forget_server(&server.0, &server.1);
            }
            keep
        });
        self.known = live;
    }
}

#[cfg(test)]
mod tests {
    use burdock::config::Config;

    use super::*;
    use crate::control::desired::Desired;
    use crate::control::state::fixture;
    use crate::control::store::Store;
    use crate::runtime::readiness::HandingOver;

    const TEXT: &str = "listeners: ['127.0.0.1:1']\nupstreams: {shop: {servers: ['127.0.0.1:2']}}\n";

    /// Started with [`TEXT`], with `text` in its file.
    fn control(directory: &std::path::Path, text: &str) -> Control {
        let file = directory.join("burdock.yaml");
        std::fs::write(&file, text).unwrap();
        let config = Config::parse("test", TEXT).unwrap();
        let (changes, leaving, discovered) = Default::default();
        let desired = Desired { config, secrets: fixture::secrets(), changes, leaving, discovered };
        Control::new(fixture::state(directory, TEXT), desired, file, Store::new(directory)).unwrap()
    }

    async fn is_noticed(control: &Control) -> bool {
        let noticed = changed(control, Some(Duration::from_millis(1)), control.seen());
        tokio::time::timeout(Duration::from_millis(200), noticed).await.is_ok()
    }

    #[tokio::test]
    async fn change_before_the_watch_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let written = control(directory.path(), &format!("{TEXT}# written since\n"));
        assert!(is_noticed(&written).await);
        written.set_handing_over(HandingOver::UnderWay);
        assert!(!is_noticed(&written).await, "nothing can be applied during an upgrade");
        written.set_handing_over(HandingOver::No);
        assert!(is_noticed(&written).await);
        assert!(!is_noticed(&control(directory.path(), TEXT)).await);
    }
}
