//! The small language of the stories.

use std::cell::RefCell;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use burdock::balancer::Balancer;
use burdock::balancer::connection::Connection;
use burdock::balancer::drain::DrainProgress;
use burdock::balancer::exchange::{Assignment, Exchange, Refusal, Settlement, Waiting};
use burdock::balancer::overrides::LeavingServer;
use burdock::balancer::spec::{Plan, StickyUpstreamSpec};
use burdock::config::Config;
use burdock::http::edits::{Edit, Edits};
use burdock::http::request::{Request, Response, Scheme};
use burdock::ids::{ServerId, UpstreamName};
use burdock::route::{PathPrefix, RouteSpec};
use burdock::session::clock_steps::ClockSteps;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::sticky::cookie::CookieSpec;
use burdock::sticky::method::MethodSpec;
use burdock::sticky::secrets::Secrets;
use burdock::table::{BudgetSpec, Cursor, Filter, TableSpec};
use burdock::time::{Now, Skipped, UnixSeconds, Uptime};
use burdock::token::keys::{Key, KeyRing};
use burdock::upstream::balance::Balance;
use burdock::upstream::discovery::DnsSpec;
use burdock::upstream::failover::Failover;
use burdock::upstream::health::{Health, Outcome};
use burdock::upstream::health_state::ProbeOutcome;
use burdock::upstream::outlier::Attempt;
use burdock::upstream::queue::Slot;
use burdock::upstream::retry::{Failure, Progress, Retry, ShouldRetry};
use burdock::upstream::server::Server;
use burdock::upstream::spec::{
    Address, Admin, ConnectionSharing, Limits, OnMarkedDown, QueueSpec, Removal, ServerSpec, Tier, Timeouts, UpstreamSpec,
    Weight,
};
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// A balancer and the world around it.
#[derive(Clone)]
pub struct Lb(Rc<RefCell<World>>);

struct World {
    shop: StickyUpstreamSpec,
    tables: Vec<(TableSpec, BudgetSpec)>,
    keys: Vec<String>,
    balancer: Balancer,
    now: Now,
    steps: ClockSteps,
    random: StdRng,
    refusing: Vec<String>,
    connections: Connections,
    status: StatusCode,
    method: Method,
    response: HeaderMap,
    target: (String, Option<String>),
    host: String,
}

/// Which connections to servers this host can open.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Connections {
    Any,
    /// None: it has no descriptors or ports left.
    None,
}

/// A client that keeps its cookies.
#[derive(Clone)]
pub struct Client {
    lb: Lb,
    pub cookies: Vec<(String, String)>,
    /// Request headers. Those in `kept_headers` have the values of the last response.
    pub headers: HeaderMap,
    kept_headers: Vec<HeaderName>,
    keeps_cookies: bool,
    completes: bool,
    address: IpAddr,
    connection: Option<Rc<Connection>>,
}

/// A client whose request waits for a slot at a full server.
pub struct Waiter {
    client: Client,
    exchange: Exchange,
    waiting: Waiting,
    slot: Option<Slot>,
}

/// The outcomes of several requests.
pub struct Visits(Vec<Visit>);

/// The outcome of one request.
#[derive(Debug)]
pub struct Visit {
    pub server: String,
    pub reason: &'static str,
    pub settled: &'static str,
    pub method: &'static str,
    /// How long it waited for slots at full servers.
    pub waited: Option<Duration>,
    pub moved: Option<&'static str>,
    pub foreign: Option<&'static str>,
    /// The Set-Cookie lines that Burdock added.
    pub set_cookie: Vec<String>,
    pub cache_control: Option<HeaderValue>,
    pub server_cookies: Option<Vec<HeaderValue>>,
    /// The request's headers as the server saw them.
    pub seen: HeaderMap,
    /// The response's headers as the client saw them.
    pub received: HeaderMap,
}

/// A balancer with servers of these names, sticky by a sealed cookie.
pub fn lb<const N: usize>(servers: [&str; N]) -> Lb {
    let keys = vec!["17".repeat(32)];
    let shop = shop(&servers);
    let now = Now {
        wall: UnixSeconds(1_800_000_000),
        subsec_millis: 0,
        uptime: Uptime(Duration::from_secs(60)),
        skipped: Skipped::default(),
    };
    let balancer = build(&shop, &[], &keys, None, now);
    Lb(Rc::new(RefCell::new(World {
        shop,
        tables: Vec::new(),
        keys,
        balancer,
        now,
        steps: ClockSteps::default(),
        random: StdRng::seed_from_u64(7),
        refusing: Vec::new(),
        connections: Connections::Any,
        status: StatusCode::OK,
        method: Method::GET,
        response: HeaderMap::new(),
        target: ("/".to_owned(), None),
        host: "shop.example.com".to_owned(),
    })))
}

impl Lb {
    /// The same with another configuration; the health and the load of servers stay.
    pub fn with(self, change: impl FnOnce(&mut StickyUpstreamSpec)) -> Self {
        {
            let world = &mut *self.0.borrow_mut();
            change(&mut world.shop);
            let next = build(&world.shop, &world.tables, &world.keys, Some(&world.balancer), world.now);
            let earlier = std::mem::replace(&mut world.balancer, next);
            world.balancer.in_force(&earlier, world.now);
        }
        self
    }

    pub fn server(self, id: &str, change: impl FnOnce(&mut ServerSpec)) -> Self {
        self.with(|shop| {
            let server =
                shop.upstream.servers.iter_mut().find(|server| server.id.as_str() == id).expect("a server of that name");
            change(Arc::make_mut(server));
        })
    }

    pub fn drain(self, id: &str) -> Self {
        self.server(id, |server| server.admin = Admin::DRAIN)
    }

    pub fn maint(self, id: &str) -> Self {
        self.server(id, |server| server.admin = Admin::Maint)
    }

    pub fn ready(self, id: &str) -> Self {
        self.server(id, |server| server.admin = Admin::Ready)
    }

    /// Gives access to a server in its present state.
    pub fn at<T>(&self, id: &str, look: impl FnOnce(&Server, Now) -> T) -> T {
        let world = self.0.borrow();
        let upstream = world.balancer.upstreams()[0].upstream();
        look(upstream.find(&ServerId::parse(id).unwrap()).expect("a server of that name"), world.now)
    }

    pub fn weight(self, id: &str, weight: u16) -> Self {
        self.server(id, |server| server.weight = Weight::new(weight).unwrap())
    }

    pub fn backup(self, id: &str) -> Self {
        self.server(id, |server| server.tier = Tier::Backup)
    }

    pub fn max_conns(self, id: &str, max: u32) -> Self {
        self.server(id, |server| server.max_conns = std::num::NonZeroU32::new(max))
    }

    /// Adds a server at the address of the first.
    pub fn with_server(self, id: &str) -> Self {
        self.with(|shop| {
            let mut added = Arc::clone(&shop.upstream.servers[0]);
            Arc::make_mut(&mut added).id = ServerId::parse(id).unwrap();
            shop.upstream.servers.push(added);
        })
    }

    /// Removes a server and forgets its sessions.
    pub fn without(self, id: &str) -> Self {
        self.with(|shop| {
            shop.upstream.removal = Removal::Forget;
            shop.upstream.servers.retain(|server| server.id.as_str() != id);
        })
    }

    /// Removes a server from the configuration, with this setting for its sessions.
    pub fn removes(self, id: &str, removal: Removal) -> Self {
        self.with(|shop| {
            shop.upstream.removal = removal;
            shop.upstream.servers.retain(|server| server.id.as_str() != id);
        })
    }

    /// The servers in order. Those that are removed and still drain are in parentheses.
    pub fn servers(&self) -> Vec<String> {
        let world = self.0.borrow();
        let servers = world.balancer.upstreams()[0].upstream().servers();
        let shown = |server: &Server| match server.spec().admin {
            Admin::Leaving { .. } => format!("({})", server.id().as_str()),
            Admin::Ready | Admin::Drain { .. } | Admin::Maint => server.id().as_str().to_owned(),
        };
        servers.iter().map(shown).collect()
    }

    /// Gives access to the balancer.
    pub fn with_balancer<T>(&self, ask: impl FnOnce(&Balancer, Now) -> T) -> T {
        let world = self.0.borrow();
        ask(&world.balancer, world.now)
    }

    /// How far a server has drained.
    pub fn draining(&self, id: &str) -> DrainProgress {
        let world = self.0.borrow();
        let shop = &world.balancer.upstreams()[0];
        shop.draining(shop.upstream().position(&ServerId::parse(id).unwrap()).expect("a server of that name"), world.now)
    }

    /// Applies the same configuration again.
    pub fn reload(self) -> Self {
        self.with(|_| {})
    }

    /// Replaces the process: the new one starts with the handoff of the clocks and of server state, and nothing else.
    pub fn upgraded(self) -> Self {
        {
            let world = &mut *self.0.borrow_mut();
            let clock_steps = serde_json::to_vec(&world.steps.handoff()).unwrap();
            world.steps = ClockSteps::after(serde_json::from_slice(&clock_steps).unwrap());
            world.now.skipped = world.steps.observe(world.now.date(), world.now.uptime);
            let handoff = serde_json::to_vec(&world.balancer.handoff()).unwrap();
            world.balancer = build(&world.shop, &world.tables, &world.keys, None, world.now);
            world.balancer.inherit(&serde_json::from_slice(&handoff).unwrap());
        }
        self
    }

    pub fn balance(self, balance: Balance) -> Self {
        self.with(|shop| shop.upstream.balance = balance)
    }

    /// Fields of the upstream, as in a configuration.
    pub fn settings(self, text: &str) -> Self {
        let spec = parsed(&format!("[]\n    {text}")).upstream;
        self.with(|shop| {
            shop.upstream.passive_health = spec.passive_health;
            shop.upstream.panic_threshold = spec.panic_threshold;
            shop.upstream.slow_start = spec.slow_start;
            shop.upstream.health_check = spec.health_check.or_else(|| shop.upstream.health_check.take());
        })
    }

    pub fn failover(self, change: impl FnOnce(&mut Failover)) -> Self {
        self.with(|shop| change(&mut shop.upstream.failover))
    }

    pub fn cookie(self, change: impl FnOnce(&mut CookieSpec)) -> Self {
        self.with(|shop| {
            let MethodSpec::Cookie(cookie) = &mut shop.sticky.entries[0].method else {
                panic!("the first entry is no cookie")
            };
            change(cookie);
        })
    }

    /// The chain, as in a configuration.
    pub fn sticky(self, text: &str) -> Self {
        self.sticky_with_tables(text, "{}")
    }

    /// The chain and the tables, as in a configuration.
    pub fn sticky_with_tables(self, sticky: &str, tables: &str) -> Self {
        let mut plan = plan(sticky, tables);
        self.0.borrow_mut().tables = plan.tables;
        let sticky = plan.upstreams.remove(0).sticky;
        self.with(|shop| shop.sticky = sticky)
    }

    /// Live sessions of a server: learned ones, and those by token.
    pub fn sessions(&self, id: &str) -> (Option<u64>, Option<u64>) {
        let world = self.0.borrow();
        let shop = &world.balancer.upstreams()[0];
        let at = shop.upstream().position(&ServerId::parse(id).unwrap()).expect("a server of that name");
        let sessions = shop.sessions(at, world.now);
        (sessions.learned, sessions.by_token)
    }

    /// The number of sessions in all tables.
    pub fn learned(&self) -> usize {
        let world = self.0.borrow();
        let now = world.now.wall;
        world
            .balancer
            .tables()
            .all()
            .map(|table| table.list(&Filter::default(), Cursor::default(), usize::MAX, now).entries.len())
            .sum()
    }

    /// Sets a server's name in plain tokens and routes.
    pub fn route(self, id: &str, route: &str) -> Self {
        self.server(id, |server| server.route = Some(ServerId::parse(route).unwrap()))
    }

    pub fn address(self, id: &str, address: &str) -> Self {
        self.server(id, |server| server.address = Address::Inet(address.parse().unwrap()))
    }

    /// The upstream's `affinity`, as in a configuration.
    pub fn affinity(self, text: &str) -> Self {
        let affinity = parsed(&format!("[]\n    affinity: {text}")).sticky.affinity;
        self.with(|shop| shop.sticky.affinity = affinity)
    }

    /// Sets the keys: the first seals tokens, all open them.
    pub fn keys(self, keys: &[&str]) -> Self {
        self.0.borrow_mut().keys = keys.iter().map(|key| key.repeat(32)).collect();
        self.with(|_| {})
    }

    pub fn down(self, id: &str) -> Self {
        self.health(id, Health::Down)
    }

    pub fn up(self, id: &str) -> Self {
        self.health(id, Health::Up)
    }

    pub fn health(self, id: &str, health: Health) -> Self {
        self.at(id, |server, now| server.health_state().set(health, now.uptime));
        self
    }

    /// Applies the result of a probe of an ejected server.
    pub fn probed(&self, id: &str, outcome: Outcome) -> ProbeOutcome {
        let spec = self.0.borrow().shop.upstream.passive_health.clone().expect("passive health");
        self.at(id, |server, now| server.health_state().probed(outcome, &spec, now.uptime))
    }

    /// Connections to this server fail from now on.
    pub fn refuses(self, id: &str) -> Self {
        self.0.borrow_mut().refusing.push(id.to_owned());
        self
    }

    /// Which connections to servers can be opened from now on.
    pub fn opens(self, connections: Connections) -> Self {
        self.0.borrow_mut().connections = connections;
        self
    }

    /// Connections to this server succeed again.
    pub fn accepts(self, id: &str) -> Self {
        self.0.borrow_mut().refusing.retain(|refusing| refusing != id);
        self
    }

    /// Servers answer with this status from now on.
    pub fn answers(self, status: u16) -> Self {
        self.0.borrow_mut().status = StatusCode::from_u16(status).unwrap();
        self
    }

    /// Servers add this header to their responses from now on.
    pub fn answers_with(self, name: &'static str, value: &'static str) -> Self {
        self.0.borrow_mut().response.append(name, HeaderValue::from_static(value));
        self
    }

    /// Servers answer with only this header from now on.
    pub fn answers_only_with(self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).unwrap();
        self.0.borrow_mut().response = HeaderMap::from_iter([(HeaderName::from_static(name), value)]);
        self
    }

    /// Servers answer with these headers from now on.
    pub fn answers_with_headers(self, headers: &HeaderMap) -> Self {
        self.0.borrow_mut().response = headers.clone();
        self
    }

    /// Servers add no header from now on.
    pub fn answers_without_headers(self) -> Self {
        self.0.borrow_mut().response.clear();
        self
    }

    /// Requests have this path and query from now on.
    pub fn with_target(self, target: &str) -> Self {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query.to_owned())));
        self.0.borrow_mut().target = (path.to_owned(), query);
        self
    }

    /// Requests have this host from now on.
    pub fn with_host(self, host: &str) -> Self {
        self.0.borrow_mut().host = host.to_owned();
        self
    }

    /// Requests have this method from now on.
    pub fn with_method(self, method: Method) -> Self {
        self.0.borrow_mut().method = method;
        self
    }

    /// Moves the clock forward.
    pub fn after(self, seconds: u32) -> Self {
        {
            let now = &mut self.0.borrow_mut().now;
            now.wall = UnixSeconds(now.wall.0 + seconds);
            now.uptime = now.uptime.plus(Duration::from_secs(seconds.into()));
        }
        self
    }

    /// The wall clock steps by this many seconds; no time passes.
    pub fn steps(self, seconds: i64) -> Self {
        {
            let world = &mut *self.0.borrow_mut();
            world.steps.observe(world.now.date(), world.now.uptime);
            world.now.wall = UnixSeconds(u32::try_from(i64::from(world.now.wall.0) + seconds).unwrap());
            world.now.skipped = world.steps.observe(world.now.date(), world.now.uptime);
        }
        self
    }

    pub fn client(&self) -> Client {
        self.client_at("192.0.2.1")
    }

    pub fn client_at(&self, address: &str) -> Client {
        let (headers, kept_headers, keeps_cookies) = (HeaderMap::new(), Vec::new(), true);
        Client {
            lb: self.clone(),
            cookies: Vec::new(),
            headers,
            kept_headers,
            keeps_cookies,
            completes: true,
            address: address.parse().unwrap(),
            connection: None,
        }
    }

    /// The server that a name belongs to on the ring.
    pub fn home(&self, name: &str) -> String {
        let world = self.0.borrow();
        let upstream = world.balancer.upstreams()[0].upstream();
        upstream.servers()[upstream.home(name.as_bytes()).expect("a server on the ring")].id().to_string()
    }

    /// The servers of `count` new clients.
    pub fn new_clients(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.client().visits(1).servers().remove(0)).collect()
    }
}

impl Client {
    /// Sends Burdock's cookie with this value.
    pub fn holding(mut self, value: &str) -> Self {
        self.cookies.push(("BURDOCK_shop".into(), value.into()));
        self
    }

    pub fn with_cookie(mut self, name: &str, value: &str) -> Self {
        self.cookies.retain(|(kept, _)| kept != name);
        self.cookies.push((name.into(), value.into()));
        self
    }

    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// Keeps no cookies, as most clients other than browsers.
    pub fn without_cookies(mut self) -> Self {
        self.keeps_cookies = false;
        self
    }

    /// Disconnects before a response is complete.
    pub fn disconnecting_early(mut self) -> Self {
        self.completes = false;
        self
    }

    /// Sends the last value of this response header with each request, as a mobile application does.
    pub fn keeps_header(mut self, name: &'static str) -> Self {
        self.kept_headers.push(HeaderName::from_static(name));
        self
    }

    /// The value of a cookie that the client keeps.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(kept, _)| kept == name).map(|(_, value)| &**value)
    }

    /// Sends all requests on one connection.
    pub fn on_one_connection(mut self) -> Self {
        self.connection = Some(Rc::new(Connection::default()));
        self
    }

    /// The value of Burdock's cookie.
    pub fn token(&self) -> String {
        self.cookies.iter().find(|(name, _)| name == "BURDOCK_shop").map(|(_, value)| value.clone()).expect("a token")
    }

    /// Sends `count` requests, one after the other.
    pub fn visits(&mut self, count: usize) -> Visits {
        Visits((0..count).map(|_| self.visit()).collect())
    }

    /// Sends a request that is in flight until the returned slot is dropped.
    pub fn starts_request(&self) -> (String, Slot) {
        let exchange = &mut self.exchange();
        match self.pick(exchange) {
            Ok((at, slot)) => (exchange.upstream().servers()[at].id().to_string(), slot),
            Err(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Sends a request that has to wait for a slot.
    pub fn waits(self) -> Waiter {
        let mut exchange = self.exchange();
        match self.assign(&mut exchange) {
            Assignment::Wait(waiting) => Waiter { client: self, exchange, waiting, slot: None },
            Assignment::Send { .. } | Assignment::Refuse(_) | Assignment::GiveUp(_) => panic!("the request does not wait"),
        }
    }

    fn visit(&mut self) -> Visit {
        let mut exchange = self.exchange();
        let picked = self.pick(&mut exchange);
        let visit = self.complete(&mut exchange, picked);
        Visit { waited: exchange.waited(), ..visit }
    }

    fn complete(&mut self, exchange: &mut Exchange, mut picked: Result<(usize, Slot), Refusal>) -> Visit {
        loop {
            match picked {
                Err(refusal) => {
                    return Visit::refused(&format!("{}", refusal.status.as_u16()), refusal.reason.as_str());
                }
                Ok((at, _slot)) => {
                    let server = exchange.upstream().servers()[at].clone();
                    if self.lb.0.borrow().connections == Connections::None {
                        self.fail(exchange, at, Failure::Shortage);
                        return Visit::refused("503", exchange.decision().unwrap().reason.as_str());
                    }
                    let refusing = self.lb.0.borrow().refusing.iter().any(|id| id == server.id().as_str());
                    if !refusing {
                        return self.settle(exchange, server.id().as_str());
                    }
                    if self.fail(exchange, at, Failure::Connect) == ShouldRetry::No {
                        return Visit::refused("502", exchange.decision().unwrap().reason.as_str());
                    }
                }
            }
            picked = self.pick(exchange);
        }
    }

    fn fail(&self, exchange: &mut Exchange, at: usize, failure: Failure) -> ShouldRetry {
        let world = self.lb.0.borrow();
        exchange.upstream().attempted(at, Attempt::Failed(failure), world.now.uptime);
        exchange.failed(failure, &world.method, Progress::Replayable)
    }

    fn exchange(&self) -> Exchange {
        let world = self.lb.0.borrow();
        let headers = self.headers();
        let request = Request {
            method: &world.method,
            host: &world.host,
            path: &world.target.0,
            query: world.target.1.as_deref(),
            headers: &headers,
            client: self.address,
            scheme: Scheme::Http,
        };
        let route = world.balancer.route(request.host, request.path).unwrap();
        world.balancer.upstream_of(route).receive(&request, world.now)
    }

    /// Picks a server. A wait always lasts until it times out.
    fn pick(&self, exchange: &mut Exchange) -> Result<(usize, Slot), Refusal> {
        loop {
            match self.assign(exchange) {
                Assignment::Send { at, slot } => return Ok((at, slot)),
                Assignment::Refuse(refusal) => return Err(refusal),
                Assignment::GiveUp(reason) => return Err(Refusal { status: StatusCode::BAD_GATEWAY, reason }),
                Assignment::Wait(waiting) => self.lb.0.borrow_mut().sleep_until(waiting.until),
            }
        }
    }

    fn assign(&self, exchange: &mut Exchange) -> Assignment {
        let world = &mut *self.lb.0.borrow_mut();
        exchange.pick(self.connection.as_deref(), world.now, &mut world.random)
    }

    fn settle(&mut self, exchange: &Exchange, server: &str) -> Visit {
        let headers = self.headers();
        let (settlement, seen, mut received) = {
            let world = &mut *self.lb.0.borrow_mut();
            let at = exchange.decision().unwrap().at;
            exchange.upstream().attempted(at, Attempt::Answered(world.status), world.now.uptime);
            let mut seen = headers.clone();
            let mut edits = Edits::default();
            exchange.edit_request(&headers, world.now, &mut edits);
            edits.apply(&mut seen).unwrap();
            let response = Response { status: world.status, headers: &world.response };
            (exchange.settle(&response, world.now, &mut world.random), seen, world.response.clone())
        };
        apply_edits(&mut received, &settlement);
        let now = self.lb.0.borrow().now;
        let pending = settlement.pending.iter().filter(|_| self.completes);
        let settled = pending.fold(settlement.action, |settled, pending| settled.at_end(pending.apply(now)));
        self.keep(&received);
        Visit {
            server: server.to_owned(),
            reason: exchange.decision().unwrap().reason.as_str(),
            settled: settled.as_str(),
            method: exchange.method().as_str(),
            waited: None,
            moved: settlement.moved.map(|cause| cause.as_str()),
            foreign: exchange.foreign().map(|format| format.as_str()),
            set_cookie: own_cookies(&settlement.edits),
            cache_control: settlement.cache_control,
            server_cookies: edited_server_cookies(&settlement.edits),
            seen,
            received,
        }
    }

    /// Stores the cookies and headers that a browser or a mobile application keeps of a response.
    fn keep(&mut self, received: &HeaderMap) {
        for line in received.get_all(SET_COOKIE).iter().filter(|_| self.keeps_cookies) {
            let Some((name, rest)) = line.to_str().unwrap().split_once('=') else { continue };
            let value = rest.split(';').next().unwrap();
            self.cookies.retain(|(kept, _)| kept != name);
            if !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        for name in self.kept_headers.clone() {
            match received.get(&name) {
                Some(value) if value.is_empty() => {
                    self.headers.remove(&name);
                }
                Some(value) => {
                    self.headers.insert(name, value.clone());
                }
                None => {}
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = self.headers.clone();
        if !pairs.is_empty() {
            headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
        }
        if self.lb.0.borrow().method == Method::OPTIONS {
            headers.insert("origin", HeaderValue::from_static("https://elsewhere.example"));
            headers.insert("access-control-request-method", HeaderValue::from_static("PUT"));
        }
        headers
    }
}

impl World {
    fn sleep_until(&mut self, until: Uptime) {
        let slept = until.since(self.now.uptime);
        self.now.uptime = until;
        self.now.wall = UnixSeconds(self.now.wall.0 + slept.as_secs() as u32);
    }
}

impl Waiter {
    /// Whether it has got a slot.
    pub fn has_slot(&mut self) -> bool {
        let polled = Pin::new(&mut self.waiting.ticket).poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Ok(slot)) = polled {
            self.slot = Some(slot);
        }
        self.slot.is_some()
    }

    /// The server that it waits for.
    pub fn server(&self) -> String {
        self.exchange.upstream().servers()[self.waiting.decision.at].id().to_string()
    }

    /// Continues with the slot if there is one, or without it if the server no longer serves the session; else the wait times out.
    pub fn finishes(mut self) -> (Client, Visit) {
        let Waiting { mut ticket, until, decision } = self.waiting;
        let polled = Pin::new(&mut ticket).poll(&mut Context::from_waker(Waker::noop()));
        let outcome = self.slot.map(Ok).or(match polled {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        });
        let now = self.client.lb.0.borrow().now;
        let picked = match outcome {
            Some(Ok(slot)) => {
                self.exchange.admitted(decision, now);
                Ok((decision.at, slot))
            }
            Some(Err(cause)) => {
                self.exchange.queue_closed(decision, cause);
                self.client.pick(&mut self.exchange)
            }
            None => {
                drop(ticket);
                self.client.lb.0.borrow_mut().sleep_until(until);
                self.client.pick(&mut self.exchange)
            }
        };
        let visit = self.client.complete(&mut self.exchange, picked);
        (self.client, Visit { waited: self.exchange.waited(), ..visit })
    }

    /// The client disconnects.
    pub fn disconnects(mut self) -> &'static str {
        let now = self.client.lb.0.borrow().now;
        self.exchange.client_gone(self.waiting.decision, now).as_str()
    }
}

impl Visit {
    fn refused(server: &str, reason: &'static str) -> Self {
        Self {
            server: server.to_owned(),
            reason,
            settled: "none",
            method: "none",
            waited: None,
            moved: None,
            foreign: None,
            set_cookie: Vec::new(),
            cache_control: None,
            server_cookies: None,
            seen: HeaderMap::new(),
            received: HeaderMap::new(),
        }
    }
}

impl Visits {
    pub fn servers(&self) -> Vec<String> {
        self.0.iter().map(|visit| visit.server.clone()).collect()
    }

    pub fn last(mut self) -> Visit {
        self.0.pop().expect("a visit")
    }

    pub fn only(mut self) -> Visit {
        assert_eq!(self.0.len(), 1);
        self.0.remove(0)
    }

    #[track_caller]
    pub fn was_served_by<const N: usize>(self, servers: [&str; N]) -> Self {
        assert_eq!(self.servers(), servers);
        self
    }

    #[track_caller]
    pub fn because<const N: usize>(self, reasons: [&str; N]) -> Self {
        assert_eq!(self.0.iter().map(|visit| visit.reason).collect::<Vec<_>>(), reasons);
        self
    }

    #[track_caller]
    pub fn settled<const N: usize>(self, words: [&str; N]) -> Self {
        assert_eq!(self.0.iter().map(|visit| visit.settled).collect::<Vec<_>>(), words);
        self
    }
}

fn secrets(keys: &[String]) -> Secrets {
    let keys = keys.iter().map(|key| Key::parse(key).unwrap()).collect();
    Secrets::new(KeyRing::new(keys).unwrap(), FingerprintKey::parse(&"5e".repeat(32)).unwrap(), [])
}

/// The response's headers after Burdock's edits.
fn apply_edits(headers: &mut HeaderMap, settlement: &Settlement) {
    settlement.edits.clone().apply(headers).unwrap();
}

/// The Set-Cookie lines that Burdock adds.
fn own_cookies(edits: &Edits) -> Vec<String> {
    let own = edits.iter().filter_map(|edit| match edit {
        Edit::Append(name, value) if *name == SET_COOKIE => Some(value.to_str().unwrap().to_owned()),
        Edit::Append(..) | Edit::Remove(_) | Edit::Replace(..) | Edit::Set(..) => None,
    });
    own.collect()
}

/// What the server's Set-Cookie lines become, where one of them changes.
fn edited_server_cookies(edits: &Edits) -> Option<Vec<HeaderValue>> {
    edits.iter().find_map(|edit| match edit {
        Edit::Replace(name, lines) if *name == SET_COOKIE => Some(lines.clone()),
        Edit::Append(..) | Edit::Remove(_) | Edit::Replace(..) | Edit::Set(..) => None,
    })
}

/// The sticky upstream that a configuration with this `sticky` describes.
fn parsed(sticky: &str) -> StickyUpstreamSpec {
    plan(sticky, "{}").upstreams.remove(0)
}

pub fn plan(sticky: &str, tables: &str) -> Plan {
    let text = format!(
        "listeners: ['127.0.0.1:80']\nupstreams:\n  shop:\n    servers: ['127.0.0.1:3000']\n    sticky: {sticky}\ntables: {tables}\n"
    );
    Config::parse("story", &text).unwrap_or_else(|errors| panic!("{errors}")).plan
}

fn build(
    shop: &StickyUpstreamSpec,
    tables: &[(TableSpec, BudgetSpec)],
    keys: &[String],
    earlier: Option<&Balancer>,
    now: Now,
) -> Balancer {
    let route = RouteSpec {
        name: "all".into(),
        hosts: Vec::new(),
        prefix: PathPrefix::parse("/").unwrap(),
        upstream: shop.upstream.name.clone(),
    };
    let mut plan =
        Plan { upstreams: vec![shop.clone()], routes: vec![route], tables: tables.to_vec(), dns: DnsSpec::default() };
    let leaving = earlier.map(|earlier| earlier.leaving(&plan, now)).unwrap_or_default();
    LeavingServer::keep(&leaving, &mut plan);
    Balancer::new(plan, &secrets(keys), earlier, now).unwrap()
}

fn shop(servers: &[&str]) -> StickyUpstreamSpec {
    let server = |(at, id): (usize, &&str)| {
        Arc::new(ServerSpec {
            id: ServerId::parse(id).unwrap(),
            route: None,
            address: Address::Inet(([127, 0, 0, 1], 3000 + at as u16).into()),
            host: None,
            weight: Weight::ONE,
            tier: Tier::Primary,
            max_conns: None,
            admin: Admin::Ready,
        })
    };
    let upstream = UpstreamSpec {
        name: UpstreamName::parse("shop").unwrap(),
        servers: servers.iter().enumerate().map(server).collect(),
        discovery: Vec::new(),
        balance: Balance::RoundRobin,
        failover: Failover::default(),
        health_check: None,
        passive_health: None,
        panic_threshold: None,
        slow_start: None,
        on_marked_down: OnMarkedDown::Keep,
        connections: ConnectionSharing::Shared,
        timeouts: Timeouts::default(),
        tcp_keepalive: None,
        retry: Retry::default(),
        limits: Limits::default(),
        queue: QueueSpec::default(),
        removal: Removal::default(),
    };
    StickyUpstreamSpec { upstream, sticky: parsed("cookie").sticky, hash_key: Vec::new() }
}

/// The server's Set-Cookie lines without those that Burdock removes.
pub fn server_cookies(visit: &Visit) -> Vec<&str> {
    visit.server_cookies.iter().flatten().map(|value| value.to_str().unwrap()).collect()
}

/// The name of a response header.
pub const SETS_COOKIE: &str = "set-cookie";
