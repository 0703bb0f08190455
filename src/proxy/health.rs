//! Runs the active checks: one service for all upstreams, a task per server, so many at once. The checks themselves are
//! Pingora's; what an outcome means is the core's.

use std::sync::Arc;
use std::time::Duration;

use ::http::header::HOST;
use async_trait::async_trait;
use burdock::balancer::Pool;
use burdock::upstream::health::{CheckSpec, Health, HttpProbe, Outcome, Probe, Streak};
use burdock::upstream::server::Server;
use burdock::upstream::spec::{Address, Admin};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::server::ShutdownWatch;
use pingora::services::ServiceReadyNotifier;
use pingora::services::background::BackgroundService;
use pingora::{Error, ErrorType};
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, HttpHealthCheck, TcpHealthCheck};
use rand::RngExt;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::state::State;

/// Checks under way at one time.
const AT_ONCE: usize = 64;
/// How long listeners wait for the first pass.
const PATIENCE: Duration = Duration::from_secs(3);

pub struct HealthService(pub Arc<State>);

/// One server and how it is checked.
struct Checked {
    state: Arc<State>,
    upstream: Arc<str>,
    server: Server,
    backend: Backend,
    check: Arc<dyn HealthCheck + Send + Sync>,
    spec: CheckSpec,
    gate: Arc<Semaphore>,
}

#[async_trait]
impl BackgroundService for HealthService {
    /// Ready once every server has been checked, so that listeners open to servers that are known; or after a while, since
    /// a successor must not keep clients waiting for servers that do not answer.
    async fn start_with_ready_notifier(&self, mut shutdown: ShutdownWatch, ready: ServiceReadyNotifier) {
        let mut first = self.first_pass();
        let mut forever = JoinSet::new();
        let mut ready = Some(ready);
        let mut patience = std::pin::pin!(tokio::time::sleep(PATIENCE));
        loop {
            tokio::select! {
                done = first.join_next() => match done {
                    Some(Ok((server, streak))) => { forever.spawn(server.keep_checking(streak)); }
                    Some(Err(_)) => {}
                    None => break,
                },
                () = &mut patience, if ready.is_some() => notify(&mut ready),
            }
        }
        self.0.readiness.set_checked();
        notify(&mut ready);
        // Requests go on being placed until the last one is gone, so the checks end with the process.
        let _ = shutdown.wait_for(|ending| *ending).await;
        while forever.join_next().await.is_some() {}
    }
}

impl HealthService {
    fn first_pass(&self) -> JoinSet<(Checked, Streak)> {
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        let snapshot = self.0.snapshot.load();
        snapshot.lanes().iter().flat_map(|lane| checked(&self.0, &lane.pool, &gate)).map(Checked::first).collect()
    }
}

/// What went wrong, without Pingora's chain of contexts.
fn said(error: &Error) -> String {
    if let ErrorType::CustomCode(what, code) = error.etype() {
        return format!("{what} {code}");
    }
    error.etype().as_str().to_owned()
}

fn notify(ready: &mut Option<ServiceReadyNotifier>) {
    if let Some(ready) = ready.take() {
        ready.notify_ready();
    }
}

impl Checked {
    async fn first(self) -> (Self, Streak) {
        let mut streak = Streak::default();
        self.once(&mut streak).await;
        (self, streak)
    }

    async fn keep_checking(self, mut streak: Streak) {
        loop {
            // Give or take a tenth, so that checks do not march in step.
            let jitter = rand::rng().random_range(0.9..1.1);
            tokio::time::sleep(self.spec.interval.mul_f64(jitter)).await;
            self.once(&mut streak).await;
        }
    }

    async fn once(&self, streak: &mut Streak) {
        let Ok(_permit) = self.gate.acquire().await else { return };
        let before = self.server.health();
        let result = tokio::time::timeout(self.spec.timeout, self.check.check(&self.backend)).await;
        let why = match &result {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(said(error)),
            Err(_) => Some(format!("no answer within {:?}", self.spec.timeout)),
        };
        let outcome = if why.is_none() { Outcome::Passed } else { Outcome::Failed };
        let after = streak.observe(before, outcome, self.spec.thresholds);
        if after != before {
            self.server.live().set_health(after, self.state.clock.uptime());
            self.report(after, why.as_deref());
        }
    }

    fn report(&self, health: Health, why: Option<&str>) {
        let id = self.server.id();
        self.state.metrics.health_changed(&self.upstream, id.as_str(), health);
        match why {
            None => log::info!("{}/{id} is up", self.upstream),
            Some(why) => log::warn!("{}/{id} is down: {why}", self.upstream),
        }
    }
}

fn checked(state: &Arc<State>, pool: &Arc<Pool>, gate: &Arc<Semaphore>) -> Vec<Checked> {
    let upstream = pool.upstream();
    let Some(spec) = &upstream.spec().health_check else { return Vec::new() };
    let in_use = upstream.servers().iter().filter(|server| server.spec().admin != Admin::Maint);
    let one = |server: &Server| {
        let check = check(spec, server)?;
        Some(Checked {
            state: Arc::clone(state),
            upstream: upstream.name().as_str().into(),
            server: server.clone(),
            backend: backend(server, spec.port)?,
            check,
            spec: spec.clone(),
            gate: Arc::clone(gate),
        })
    };
    in_use.filter_map(one).collect()
}

fn backend(server: &Server, port: Option<u16>) -> Option<Backend> {
    let mut backend = Backend::new("127.0.0.1:1").ok()?;
    backend.addr = match &server.spec().address {
        Address::Inet(address) => {
            let mut address = *address;
            address.set_port(port.unwrap_or_else(|| address.port()));
            SocketAddr::Inet(address)
        }
        Address::Unix(path) => SocketAddr::Unix(std::os::unix::net::SocketAddr::from_pathname(path).ok()?),
    };
    Some(backend)
}

fn check(spec: &CheckSpec, server: &Server) -> Option<Arc<dyn HealthCheck + Send + Sync>> {
    Some(match &spec.probe {
        Probe::Tcp => {
            let mut check = *TcpHealthCheck::new();
            check.peer_template.options.connection_timeout = Some(spec.timeout);
            Arc::new(check)
        }
        Probe::Http(probe) => Arc::new(http_check(probe, spec.timeout, server)?),
    })
}

fn http_check(probe: &HttpProbe, timeout: Duration, server: &Server) -> Option<HttpHealthCheck> {
    let host = probe.host.clone().unwrap_or_else(|| match &server.spec().address {
        Address::Inet(address) => address.to_string(),
        Address::Unix(_) => "localhost".to_owned(),
    });
    let mut check: HttpHealthCheck = HttpHealthCheck::new(&host, false);
    check.peer_template.options.connection_timeout = Some(timeout);
    check.peer_template.options.read_timeout = Some(timeout);
    check.req = request(probe, &host)?;
    let expected = probe.clone();
    check.validator = Some(Box::new(move |response: &ResponseHeader| match response.status.as_u16() {
        status if expected.expects(status) => Ok(()),
        status => {
            Error::e_explain(ErrorType::CustomCode("unexpected status", status), format!("status {status} is not expected"))
        }
    }));
    Some(check)
}

fn request(probe: &HttpProbe, host: &str) -> Option<RequestHeader> {
    let mut request = RequestHeader::build("GET", probe.path.as_bytes(), Some(probe.headers.len() + 2)).ok()?;
    request.insert_header(HOST, host).ok()?;
    request.insert_header("User-Agent", "burdock-health-check").ok()?;
    for (name, value) in &probe.headers {
        request.insert_header(name.clone(), value.clone()).ok()?;
    }
    Some(request)
}
