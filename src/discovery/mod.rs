//! Keeps the servers that are found by name where DNS says that they are: a task per name, which asks, hands changes on and
//! waits. When to ask again and which servers an answer makes is the core's.

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
use crate::discovery::dns::{Asker, Memory, Trouble};
use crate::telemetry::metrics::Resolved;

pub struct DiscoveryService(pub Arc<Control>);

/// The tasks that run, and how they ask.
struct Seekers {
    control: Arc<Control>,
    dns: DnsSpec,
    asker: Asker,
    tasks: HashMap<Lookup, Task>,
}

/// A task that looks after one name until this is dropped.
struct Task {
    state: Arc<ProcessState>,
    lookup: Lookup,
    task: AbortHandle,
}

/// One name and what came of it so far.
struct Seeker {
    control: Arc<Control>,
    asker: Asker,
    lookup: Lookup,
    bounds: Bounds,
    memory: Memory,
    /// Look-ups in a row that gave nothing.
    failures: u32,
    trouble: Option<Trouble>,
}

/// Whether an answer has come into force.
enum Taken {
    Yes,
    /// Nothing can be changed now.
    Later,
}

/// Held by each task until its name has been answered for, or listeners have waited enough.
type First = mpsc::Sender<()>;

#[async_trait]
impl BackgroundService for DiscoveryService {
    /// Requests go on being placed until the last one is gone, so this ends with the process where there are names.
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut published = self.0.state.published.subscribe();
        let mut seekers = Seekers::new(Arc::clone(&self.0));
        let (first, mut all_asked) = mpsc::channel(1);
        seekers.follow(Some(&first));
        drop(first);
        let mut awaited = FirstAnswers::Awaited;
        loop {
            tokio::select! {
                _ = all_asked.recv(), if awaited == FirstAnswers::Awaited => {
                    awaited = FirstAnswers::There;
                    self.0.state.first_answers.send_replace(FirstAnswers::There);
                }
                Ok(()) = published.changed() => seekers.follow(None),
                _ = shutdown.wait_for(|ending| *ending), if seekers.tasks.is_empty() => return,
            }
        }
    }
}

impl Seekers {
    fn new(control: Arc<Control>) -> Self {
        let dns = control.state.serving.generation.load().balancer.dns().clone();
        let asker = Asker::new(&dns);
        Self { control, dns, asker, tasks: HashMap::new() }
    }

    /// Makes the tasks those that the present configuration asks for.
    fn follow(&mut self, first: Option<&First>) {
        let state = Arc::clone(&self.control.state);
        let generation = state.serving.generation.load();
        if *generation.balancer.dns() != self.dns {
            self.dns = generation.balancer.dns().clone();
            self.asker = Asker::new(&self.dns);
            self.tasks.clear();
        }
        let mut before = std::mem::take(&mut self.tasks);
        let upstreams = generation.upstreams().iter().map(|handle| handle.pool.upstream());
        for entry in upstreams.flat_map(|upstream| &upstream.spec().discovery) {
            if !self.tasks.contains_key(&entry.lookup) {
                let task = before.remove(&entry.lookup).unwrap_or_else(|| self.task(&entry.lookup, first));
                self.tasks.insert(entry.lookup.clone(), task);
            }
        }
    }

    fn task(&self, lookup: &Lookup, first: Option<&First>) -> Task {
        let (state, lookup) = (Arc::clone(&self.control.state), lookup.clone());
        let seeker = Seeker {
            control: Arc::clone(&self.control),
            asker: self.asker.clone(),
            lookup: lookup.clone(),
            bounds: self.dns.bounds,
            memory: Memory::new(),
            failures: 0,
            trouble: None,
        };
        let task = tokio::spawn(seeker.keep_asking(first.cloned())).abort_handle();
        Task { state, lookup, task }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.task.abort();
        self.state.serving.metrics.forget_name(&self.lookup);
    }
}

impl Seeker {
    async fn keep_asking(mut self, first: Option<First>) {
        let mut wait = self.once().await;
        if let Some(first) = first {
            wait = self.insist(wait).await;
            drop(first);
        }
        loop {
            tokio::time::sleep(wait).await;
            wait = self.once().await;
        }
    }

    /// Asks again soon until there is an answer, or listeners have waited enough.
    async fn insist(&mut self, mut wait: Duration) -> Duration {
        while self.failures > 0 {
            let waited = self.control.state.serving.clock.age();
            let Some(soon) = self.bounds.before_first_answer(waited, Jitter::new(rand::random())) else { break };
            self.failures = 0;
            tokio::time::sleep(soon).await;
            wait = self.once().await;
        }
        wait
    }

    /// Asks, and tells how long to wait before asking again.
    async fn once(&mut self) -> Duration {
        let jitter = Jitter::new(rand::random());
        let asked = self.asker.look_up(&self.lookup, &mut self.memory).await;
        match asked {
            Ok(found) => {
                self.count(if found.trouble.is_none() { Resolved::Answered } else { Resolved::Partly });
                self.failures = 0;
                let taken = self.found(found.answer).await;
                self.log_trouble(found.trouble);
                match taken {
                    Taken::Yes => self.bounds.after_answer(found.ttl, jitter),
                    Taken::Later => self.bounds.after_failures(1, jitter),
                }
            }
            Err(trouble) => {
                self.count(trouble.resolved());
                self.failures = self.failures.saturating_add(1);
                self.log_trouble(Some(trouble));
                self.bounds.after_failures(self.failures, jitter)
            }
        }
    }

    /// Another set of servers is another configuration: rings are built, so not on a thread that others wait for.
    async fn found(&self, answer: Answer) -> Taken {
        let state = &self.control.state;
        state.serving.metrics.answered(&self.lookup, answer.addresses().count(), state.serving.clock.moment().now().wall);
        let (control, lookup) = (Arc::clone(&self.control), self.lookup.clone());
        match tokio::task::spawn_blocking(move || control.found(&lookup, answer)).await {
            Ok(Ok(Some(change))) => log::info!("{}: {change}", self.lookup),
            Ok(Ok(None)) => {}
            // A successor is being prepared, and asks for itself; if there comes none, it is for us to ask again.
            Ok(Err(ChangeError::Leaving)) => return Taken::Later,
            Ok(Err(error)) => log::error!("{}: {error}", self.lookup),
            Err(error) => log::error!("{}: its servers could not be taken over: {error}", self.lookup),
        }
        Taken::Yes
    }

    /// Says when something begins to be wrong and when it ends.
    fn log_trouble(&mut self, trouble: Option<Trouble>) {
        match (&self.trouble, &trouble) {
            (None, Some(trouble)) => {
                log::warn!("{} cannot be looked up, so what was found last counts: {trouble}", self.lookup);
            }
            (Some(_), None) => log::info!("{} is looked up again", self.lookup),
            (None, None) | (Some(_), Some(_)) => {}
        }
        self.trouble = trouble;
    }

    fn count(&self, resolved: Resolved) {
        self.control.state.serving.metrics.looked_up(&self.lookup, resolved);
    }
}
