//! Runs active health checks: one service for all upstreams, one task per server, with a limit of concurrent checks. The core decides what an outcome means. When a configuration is published, tasks start and stop to match it;
//! unchanged tasks continue.

mod check;
pub mod condition;
pub mod probe;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use burdock::ids::{ServerId, UpstreamName};
use burdock::upstream::health::{CheckSpec, Condition, Outcome, Streak};
use burdock::upstream::last_failure::FailureReason;
use burdock::upstream::server::Server;
use burdock::upstream::spec::{Admin, UpstreamSpec};
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;
use rand::RngExt;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;

use check::Check;
use condition::changed;

use crate::control::state::{FirstAnswers, ProcessState};
use crate::serve::state::ServingState;

/// Concurrent checks.
const MAX_CONCURRENT: usize = 64;
/// How long the listeners wait for the first pass.
const WAIT_TIMEOUT: Duration = Duration::from_secs(3);

pub struct HealthService(pub Arc<ProcessState>);

/// The running tasks.
struct CheckTasks {
    state: Arc<ServingState>,
    permits: Arc<Semaphore>,
    tasks: HashMap<(UpstreamName, ServerId), CheckTask>,
}

/// The task that checks one server, until dropped.
struct CheckTask {
    server: Server,
    spec: CheckSpec,
    task: AbortHandle,
}

/// The state of a task.
struct ServerCheck {
    state: Arc<ServingState>,
    upstream: UpstreamName,
    server: Server,
    check: Check,
    spec: CheckSpec,
    permits: Arc<Semaphore>,
}

/// The progress of the first pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pass {
    Running,
    Done,
}

/// Held by each task until it has checked once.
type FirstPass = mpsc::Sender<()>;

#[async_trait]
impl BackgroundService for HealthService {
    /// Ready once every server was checked, so that the listeners open with known server states; or after [`WAIT_TIMEOUT`], as
    /// clients must not wait for servers that do not answer.
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        let mut published = self.0.published.subscribe();
        let _ = self.0.probing_runtime.set(tokio::runtime::Handle::current());
        probe::resume(&self.0.serving);
        let mut tasks = CheckTasks::new(Arc::clone(&self.0.serving));
        let (held, mut first_pass) = tasks.begin();
        // Discovered servers belong to the first pass, too.
        let (mut held, mut first_answers) = (Some(held), self.0.first_answers.subscribe());
        let mut wait_timeout = std::pin::pin!(tokio::time::sleep(WAIT_TIMEOUT));
        let (mut ready, mut pass) = (Some(ready), Pass::Running);
        // Requests are placed until the last one has finished, so the checks end with the process.
        loop {
            tokio::select! {
                _ = first_pass.recv(), if pass == Pass::Running => {
                    pass = Pass::Done;
                    self.0.serving.readiness.set_checked();
                    notify(&mut ready);
                }
                () = &mut wait_timeout, if ready.is_some() => notify(&mut ready),
                Ok(()) = published.changed() => tasks.follow(held.as_ref()),
                _ = first_answers.wait_for(|answers| *answers == FirstAnswers::There), if held.is_some() => {
                    tasks.follow(held.as_ref());
                    held = None;
                }
                _ = shutdown.wait_for(|ending| *ending), if tasks.tasks.is_empty() => return,
            }
        }
    }
}

fn notify(ready: &mut Option<ServiceReadyNotifier>) {
    if let Some(ready) = ready.take() {
        ready.notify_ready();
    }
}

impl CheckTasks {
    fn new(state: Arc<ServingState>) -> Self {
        Self { state, permits: Arc::new(Semaphore::new(MAX_CONCURRENT)), tasks: HashMap::new() }
    }

    /// Starts the first pass. The receiver ends when every server was checked and the returned sender, which is for servers that
    /// come meanwhile, is dropped.
    fn begin(&mut self) -> (FirstPass, mpsc::Receiver<()>) {
        let (first_pass, ended) = mpsc::channel(1);
        self.follow(Some(&first_pass));
        (first_pass, ended)
    }

    /// Starts and stops tasks to match the current configuration.
    fn follow(&mut self, first_pass: Option<&FirstPass>) {
        let mut before = std::mem::take(&mut self.tasks);
        let state = Arc::clone(&self.state);
        let generation = state.generation.load();
        for upstream in generation.upstreams().iter().map(|handle| handle.sticky.upstream()) {
            let Some(check) = &upstream.spec().health_check else { continue };
            for server in upstream.servers().iter().filter(|server| server.spec().admin != Admin::Maint) {
                let key = (upstream.name().clone(), server.id().clone());
                let same = before.remove(&key).filter(|task| task.is_for(server, check));
                if let Some(task) = same.or_else(|| self.task(upstream.spec(), server, check, first_pass)) {
                    self.tasks.insert(key, task);
                }
            }
        }
    }

    fn task(
        &self,
        upstream: &UpstreamSpec,
        server: &Server,
        spec: &CheckSpec,
        first_pass: Option<&FirstPass>,
    ) -> Option<CheckTask> {
        let check = ServerCheck {
            state: Arc::clone(&self.state),
            upstream: upstream.name.clone(),
            server: server.clone(),
            check: Check::new(spec, server)?,
            spec: spec.clone(),
            permits: Arc::clone(&self.permits),
        };
        let task = tokio::spawn(check.run(first_pass.cloned())).abort_handle();
        Some(CheckTask { server: server.clone(), spec: spec.clone(), task })
    }
}

impl CheckTask {
    /// Whether its task checks this server by this specification.
    fn is_for(&self, server: &Server, spec: &CheckSpec) -> bool {
        let same_server = Arc::ptr_eq(self.server.health_state(), server.health_state());
        same_server && self.server.spec().address == server.spec().address && self.spec == *spec
    }
}

impl Drop for CheckTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ServerCheck {
    async fn run(self, first_pass: Option<FirstPass>) {
        let mut streak = Streak::default();
        self.check_once(&mut streak).await;
        drop(first_pass);
        loop {
            // A jitter of ten per cent keeps checks from running in step.
            let jitter = rand::rng().random_range(0.9..1.1);
            tokio::time::sleep(self.spec.interval.mul_f64(jitter)).await;
            self.check_once(&mut streak).await;
        }
    }

    async fn check_once(&self, streak: &mut Streak) {
        let Ok(_permit) = self.permits.acquire().await else { return };
        let checked = self.check.run(&self.state).await;
        let outcome = *checked.as_ref().unwrap_or(&Outcome::Failed);
        let changed = self.server.health_state().checked(outcome, streak, self.spec.thresholds, self.state.clock.uptime());
        if outcome == Outcome::Failed {
            self.server.live().failed(FailureReason::HealthCheck, self.state.clock.uptime());
        }
        if let Some(condition) = changed {
            self.report(condition, checked.err().as_deref());
        }
    }

    fn report(&self, condition: Condition, why: Option<&str>) {
        let id = self.server.id();
        if condition == Condition::Draining {
            log::info!("{}/{id} gets no new sessions: its health check asks for that", self.upstream);
            return;
        }
        changed(&self.state, &self.upstream, &self.server, condition);
        match (condition, why) {
            (Condition::Ejected, _) => log::info!("{}/{id} passes its checks, but is still ejected", self.upstream),
            (Condition::Up | Condition::Draining | Condition::Down | Condition::Unchecked, None) => {
                log::info!("{}/{id} is up", self.upstream)
            }
            (Condition::Up | Condition::Draining | Condition::Down | Condition::Unchecked, Some(why)) => {
                log::warn!("{}/{id} is down: {why}", self.upstream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burdock::balancer::Balancer;
    use burdock::config::Config;
    use burdock::upstream::health::Health;

    use super::*;
    use crate::control::state::fixture;
    use crate::serve::generation::Generation;

    fn text(servers: &str, settings: &str) -> String {
        format!("listeners: ['127.0.0.1:1']\nupstreams: {{shop: {{servers: [{servers}], {settings}}}}}")
    }

    fn publish(state: &ProcessState, text: &str) {
        let plan = Config::parse("test", text).unwrap().plan;
        let before = state.serving.generation.load_full();
        let now = state.serving.clock.moment().now();
        let balancer = Balancer::new(plan, &fixture::secrets(), Some(&before.balancer), now).unwrap();
        state.publish(Arc::new(Generation::new(balancer, &state.serving.metrics, None).unwrap()));
    }

    fn ids(tasks: &CheckTasks) -> Vec<(String, tokio::task::Id)> {
        let named = |((_, id), task): (&(UpstreamName, ServerId), &CheckTask)| (id.to_string(), task.task.id());
        let mut ids: Vec<_> = tasks.tasks.iter().map(named).collect();
        ids.sort_by(|(one, _), (other, _)| one.cmp(other));
        ids
    }

    #[tokio::test]
    async fn unchanged_checks_continue_after_a_reload() {
        const A: &str = "{id: a, address: '127.0.0.1:2'";
        let directory = tempfile::tempdir().unwrap();
        let state = fixture::state(
            directory.path(),
            &text(&format!("{A}}}, {{id: b, address: '127.0.0.1:3'}}"), "health_check: tcp"),
        );
        let mut tasks = CheckTasks::new(Arc::clone(&state.serving));
        let (held, mut first_pass) = tasks.begin();
        drop(held);
        first_pass.recv().await;
        let first = ids(&tasks);
        let mut follow = |servers: &str, settings: &str| {
            publish(&state, &text(servers, settings));
            tasks.follow(None);
            ids(&tasks)
        };
        let second =
            follow(&format!("{{id: c, address: '127.0.0.1:4'}}, {A}, weight: 7, state: drain}}"), "health_check: tcp");
        assert_eq!(second.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(second[0], first[0]);
        let other_check = follow(&format!("{A}}}"), "health_check: {tcp: {}, fall: 7}");
        assert_ne!(other_check[0], first[0]);
        assert!(follow(&format!("{A}, state: maint}}"), "health_check: {tcp: {}, fall: 7}").is_empty());
        let back = follow(&format!("{A}}}"), "health_check: {tcp: {}, fall: 7}");
        assert_ne!(follow("{id: a, address: '127.0.0.1:5'}", "health_check: {tcp: {}, fall: 7}"), back);
        assert!(follow(&format!("{A}}}"), "balance: first").is_empty());
    }

    #[tokio::test]
    async fn checks_follow_a_published_configuration() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = server.local_addr().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let state = fixture::state(directory.path(), &text("'127.0.0.1:2'", "health_check: tcp"));
        let (_shutdown, watch) = tokio::sync::watch::channel(false);
        let (ready, _) = tokio::sync::watch::channel(false);
        let service = HealthService(Arc::clone(&state));
        tokio::spawn(async move { service.start_with_ready_notifier(watch, ServiceReadyNotifier::new(ready)).await });
        while state.published.receiver_count() == 0 {
            tokio::task::yield_now().await;
        }
        publish(&state, &text(&format!("'{at}'"), "health_check: tcp"));
        server.accept().await.unwrap();
        let health = || state.serving.generation.load().upstreams()[0].sticky.upstream().servers()[0].health();
        while health() != Health::Up {
            tokio::task::yield_now().await;
        }
    }
}
