//! Discovers servers by DNS: one task per name looks it up, applies changes, and waits. The core decides when to ask again and which
//! servers an answer means.

pub mod dns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use burdock::upstream::discovery::{Answer, Bounds, DnsSpec, Jitter, Lookup};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::control::change::{ChangeError, Control};
use crate::control::state::{FirstAnswers, ProcessState};
use crate::discovery::dns::{DnsClient, LookupError, Memory};
use crate::telemetry::metrics::Resolved;

pub struct DiscoveryService(pub Arc<Control>);

/// The running tasks, and their DNS client.
struct LookupTasks {
    control: Arc<Control>,
    dns: DnsSpec,
    client: DnsClient,
    tasks: HashMap<Lookup, TaskHandle>,
}

/// The task for one name, until dropped.
struct TaskHandle {
    state: Arc<ProcessState>,
    lookup: Lookup,
    task: AbortHandle,
}

/// The lookups of one name, and their results so far.
struct LookupTask {
    control: Arc<Control>,
    client: DnsClient,
    lookup: Lookup,
    bounds: Bounds,
    memory: Memory,
    /// Consecutive failed lookups.
    failures: u32,
    error: Option<LookupError>,
}

/// Whether an answer was applied.
enum Applied {
    Yes,
    /// No changes are accepted now.
    Later,
}

/// Held by each task until its first lookup has finished, or the listeners have waited long enough.
type First = mpsc::Sender<()>;

#[async_trait]
impl BackgroundService for DiscoveryService {
    /// Requests are placed until the last one has finished, so with names this service ends with the process.
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut published = self.0.state.published.subscribe();
        let mut tasks = LookupTasks::new(Arc::clone(&self.0));
        let (first, mut all_asked) = mpsc::channel(1);
        tasks.follow(Some(&first));
        drop(first);
        let mut awaited = FirstAnswers::Awaited;
        loop {
            tokio::select! {
                _ = all_asked.recv(), if awaited == FirstAnswers::Awaited => {
                    awaited = FirstAnswers::There;
                    self.0.state.first_answers.send_replace(FirstAnswers::There);
                }
                Ok(()) = published.changed() => tasks.follow(None),
                _ = shutdown.wait_for(|ending| *ending), if tasks.tasks.is_empty() => return,
            }
        }
    }
}

impl LookupTasks {
    fn new(control: Arc<Control>) -> Self {
        let dns = control.state.serving.generation.load().balancer.dns().clone();
        let client = DnsClient::new(&dns);
        Self { control, dns, client, tasks: HashMap::new() }
    }

    /// Starts and stops tasks to match the current configuration.
    fn follow(&mut self, first: Option<&First>) {
        let state = Arc::clone(&self.control.state);
        let generation = state.serving.generation.load();
        if *generation.balancer.dns() != self.dns {
            self.dns = generation.balancer.dns().clone();
            self.client = DnsClient::new(&self.dns);
            self.tasks.clear();
        }
        let mut before = std::mem::take(&mut self.tasks);
        let upstreams = generation.upstreams().iter().map(|handle| handle.sticky.upstream());
        for entry in upstreams.flat_map(|upstream| &upstream.spec().discovery) {
            if !self.tasks.contains_key(&entry.lookup) {
                let task = before.remove(&entry.lookup).unwrap_or_else(|| self.task(&entry.lookup, first));
                self.tasks.insert(entry.lookup.clone(), task);
            }
        }
    }

    fn task(&self, lookup: &Lookup, first: Option<&First>) -> TaskHandle {
        let (state, lookup) = (Arc::clone(&self.control.state), lookup.clone());
        let lookup_task = LookupTask {
            control: Arc::clone(&self.control),
            client: self.client.clone(),
            lookup: lookup.clone(),
            bounds: self.dns.bounds,
            memory: Memory::new(),
            failures: 0,
            error: None,
        };
        let task = tokio::spawn(lookup_task.run(first.cloned())).abort_handle();
        TaskHandle { state, lookup, task }
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.task.abort();
        self.state.serving.metrics.forget_name(&self.lookup);
    }
}

impl LookupTask {
    async fn run(mut self, first: Option<First>) {
        let mut wait = self.look_up_once().await;
        if let Some(first) = first {
            wait = self.retry_first_lookup(wait).await;
            drop(first);
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = self.look_up_once().await;
        }
    }

    /// Retries soon until there is an answer, or the listeners have waited long enough.
    async fn retry_first_lookup(&mut self, mut wait: Duration) -> Duration {
        while self.failures > 0 {
            let waited = self.control.state.serving.clock.age();
            let Some(soon) = self.bounds.before_first_answer(waited, Jitter::new(rand::random())) else { break };
            self.failures = 0;
            tokio::time::sleep(soon).await;
            wait = self.look_up_once().await;
        }
        wait
    }

    /// Looks the name up, and returns how long to wait before the next lookup.
    async fn look_up_once(&mut self) -> Duration {
        let jitter = Jitter::new(rand::random());
        let asked = self.client.look_up(&self.lookup, &mut self.memory).await;
        match asked {
            Ok(found) => {
                self.count(if found.error.is_none() { Resolved::Answered } else { Resolved::Partly });
                self.failures = 0;
                let applied = self.apply(found.answer).await;
                self.log_error_change(found.error);
                match applied {
                    Applied::Yes => self.bounds.after_answer(found.ttl, jitter),
                    Applied::Later => self.bounds.after_failures(1, jitter),
                }
            }
            Err(error) => {
                self.count(error.resolved());
                self.failures = self.failures.saturating_add(1);
                self.log_error_change(Some(error));
                self.bounds.after_failures(self.failures, jitter)
            }
        }
    }

    /// Applies an answer, on a blocking thread, as it may build rings.
    async fn apply(&self, answer: Answer) -> Applied {
        let state = &self.control.state;
        state.serving.metrics.answered(&self.lookup, answer.addresses().count(), state.serving.clock.moment().now().wall);
        let (control, lookup) = (Arc::clone(&self.control), self.lookup.clone());
        match tokio::task::spawn_blocking(move || control.apply_answer(&lookup, answer)).await {
            Ok(Ok(Some(change))) => log::info!("{}: {change}", self.lookup),
            Ok(Ok(None)) => {}
            // An upgrade is in progress. The new process looks names up itself; if the upgrade fails, this one asks again.
            Ok(Err(ChangeError::Leaving)) => return Applied::Later,
            Ok(Err(error)) => log::error!("{}: {error}", self.lookup),
            Err(error) => log::error!("{}: cannot apply its servers: {error}", self.lookup),
        }
        Applied::Yes
    }

    /// Logs when failures begin and end.
    fn log_error_change(&mut self, error: Option<LookupError>) {
        match (&self.error, &error) {
            (None, Some(error)) => {
                log::warn!("{}: lookup failed, keeping the last known servers: {error}", self.lookup);
            }
            (Some(_), None) => log::info!("{}: lookup succeeded again", self.lookup),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.error = error;
    }

    fn count(&self, resolved: Resolved) {
        self.control.state.serving.metrics.looked_up(&self.lookup, resolved);
    }
}
