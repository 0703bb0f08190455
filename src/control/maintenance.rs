//! What is done without anybody asking: servers that are done leaving go, series of servers that are gone are taken out, and a
//! configuration file that has changed is taken up, on SIGHUP or where it is watched.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use burdock::balancer::drain::Stage;
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

/// How often it is looked whether a server is done leaving.
const TICK: Duration = Duration::from_secs(1);
/// So long the series of a server that is gone can still be read.
const KEEP_SERIES: Duration = Duration::from_secs(600);

/// Takes up the configuration on SIGHUP, and when its file changes if it is to be watched.
pub struct ReloadService(pub Arc<Control>);

/// Lets go what is done leaving.
pub struct MaintenanceService(pub Arc<Control>);

#[async_trait]
impl BackgroundService for ReloadService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let hangup = signal(SignalKind::hangup());
        self.0.state.serving.readiness.set_watching(Watcher::Reloading);
        let Ok(mut hangup) = hangup else {
            log::error!("cannot watch for SIGHUP: reload by `burdock ctl reload`");
            return;
        };
        let watch = self.0.desired().config.process.watch;
        let mut seen = self.0.seen();
        loop {
            let by = tokio::select! {
                _ = hangup.recv() => "SIGHUP",
                () = changed(&self.0, watch, seen) => "the file's change",
                _ = shutdown.wait_for(|ending| *ending) => return,
            };
            let (control, stamp) = (Arc::clone(&self.0), self.0.stamp());
            let take_up = move || control.take_up(ReloadMode::Whole, &Actor(by.to_owned()));
            systemd::reloading();
            let taken = tokio::task::spawn_blocking(take_up).await;
            match &taken {
                // Where there comes no successor, it is still to be taken up.
                Ok(Err(ReloadError::Change(ChangeError::Leaving))) => {}
                // A panic in there has been told already, and must not end the watch.
                Ok(_) | Err(_) => seen = stamp,
            }
            match taken {
                Ok(Ok((_, Some(ack)))) => notify_when_persisted(ack),
                Ok(Ok((_, None)) | Err(_)) | Err(_) => systemd::reloaded(),
            }
        }
    }
}

/// The next configuration does not wait for the disk; whoever has asked for this one does.
fn notify_when_persisted(ack: WriteAck) {
    tokio::task::spawn_blocking(move || {
        let _ = ack.wait();
        systemd::reloaded();
    });
}

/// Comes back when the file is another one than was seen, for as long as a look takes to find it unchanged again: an editor may
/// still be writing. While a successor is being prepared nothing can be taken up.
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

/// When a file was last written, and how long it is. None where it cannot be seen.
type Stamp = Option<(SystemTime, u64)>;

#[async_trait]
impl BackgroundService for MaintenanceService {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut series = Series::default();
        loop {
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                _ = shutdown.wait_for(|ending| *ending) => return,
            }
            let control = Arc::clone(&self.0);
            let looked = tokio::task::spawn_blocking(move || {
                control.let_go();
                control.tidy();
                series.look(&control);
                series
            });
            series = looked.await.unwrap_or_default();
        }
    }
}

impl Control {
    /// The file's stamp, as long as it says what was read of it: it may have been written before anybody watched it, in a
    /// successor while that waited for the sockets.
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

    /// Publishes anew where a server that was leaving is no longer needed.
    fn let_go(&self) {
        let Ok(turn) = self.turn() else { return };
        let now = self.now();
        let live = self.state.serving.generation.load_full();
        let done = live.balancer.upstreams().iter().flat_map(|pool| {
            let servers = pool.upstream().servers().iter().enumerate();
            let leaving = servers.filter(|(_, server)| matches!(server.spec().admin, Admin::Leaving { .. }));
            leaving
                .filter(move |(at, _)| pool.draining(*at, now).stage == Stage::Complete)
                .map(|(_, server)| format!("{}/{}", pool.upstream().name().as_str(), server.id().as_str()))
        });
        let done: Vec<String> = done.collect();
        if done.is_empty() {
            return;
        }
        match self.publish(&turn, turn.next(), &[]) {
            Ok(ack) => {
                log::info!("gone, as no session needs it any more: {}", done.join(", "));
                ack.leave();
            }
            Err(error) => log::error!("{error}"),
        }
    }
}

/// Whose series there are.
#[derive(Default)]
struct Series {
    known: HashSet<(UpstreamName, ServerId)>,
    gone: Vec<(Uptime, (UpstreamName, ServerId))>,
}

impl Series {
    fn look(&mut self, control: &Control) {
        let state = &control.state.serving;
        let now = state.clock.uptime();
        let live: HashSet<_> = state
            .generation
            .load()
            .upstreams()
            .iter()
            .flat_map(|handle| {
                let upstream = handle.pool.upstream();
                let pair = |server: &burdock::upstream::server::Server| (upstream.name().clone(), server.id().clone());
                upstream.servers().iter().map(pair).collect::<Vec<_>>()
            })
            .collect();
        self.gone.extend(self.known.difference(&live).map(|server| (now, server.clone())));
        self.gone.retain(|(since, server)| {
            if live.contains(server) {
                return false;
            }
            let keep = now.since(*since) < KEEP_SERIES;
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

    /// With this text in its file, and begun with [`TEXT`].
    fn control(folder: &std::path::Path, text: &str) -> Control {
        let file = folder.join("burdock.yaml");
        std::fs::write(&file, text).unwrap();
        let config = Config::parse("test", TEXT).unwrap();
        let (changes, leaving, discovered) = Default::default();
        let desired = Desired { config, secrets: fixture::secrets(), changes, leaving, discovered };
        Control::new(fixture::state(folder, TEXT), desired, file, Store::new(folder)).unwrap()
    }

    async fn is_noticed(control: &Control) -> bool {
        let noticed = changed(control, Some(Duration::from_millis(1)), control.seen());
        tokio::time::timeout(Duration::from_millis(200), noticed).await.is_ok()
    }

    #[tokio::test]
    async fn a_file_that_was_written_before_anybody_watched_it_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let written = control(folder.path(), &format!("{TEXT}# written since\n"));
        assert!(is_noticed(&written).await);
        written.set_handing_over(HandingOver::UnderWay);
        assert!(!is_noticed(&written).await, "nothing could be taken up");
        written.set_handing_over(HandingOver::No);
        assert!(is_noticed(&written).await);
        assert!(!is_noticed(&control(folder.path(), TEXT)).await);
    }
}
