//! `burdock explain`: where a request would go, and why, without sending it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use burdock::balancer::Balancer;
use burdock::balancer::exchange::{Assignment, Exchange};
use burdock::config::Config;
use burdock::http::forwarded::{TrustedProxies, client_address, scheme};
use burdock::http::request::{Request, Response, Scheme};
use burdock::route::RouteIndex;
use burdock::sticky::table::FingerprintKey;
use burdock::sticky::token::keys::{Key, KeyRing};
use burdock::sticky::token::secrets::Secrets;
use burdock::time::Now;
use burdock::upstream::health::Health;
use clap::Args;

use super::explanation::{ClaimTold, Explanation};
use super::{ConfigFile, Ended};
use crate::proxy::clock::Clock;
use crate::proxy::keys;

/// Says where a request would go, and why, without sending it
///
/// Servers count as up unless named with --down; nothing that is running is asked.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock explain -c burdock.yaml https://shop.example.com/cart
  burdock explain -c burdock.yaml -H 'Cookie: BURDOCK_shop=AUJZ…' --down shop-1 http://shop.example.com/")]
pub struct ExplainArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The request's URL, or its path where the host does not matter
    url: Uri,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET")]
    method: Method,
    /// A header of the request, as in 'Cookie: a=b'; may be repeated
    #[arg(short = 'H', long = "header", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The address that the request comes from
    #[arg(long, default_value = "127.0.0.1")]
    client: IpAddr,
    /// A server that is to count as down; may be repeated
    #[arg(long, value_name = "SERVER")]
    down: Vec<String>,
    /// The status of the response, which decides what may be set
    #[arg(long, default_value = "200")]
    status: StatusCode,
    /// A header of the response, as in 'Set-Cookie: JSESSIONID=1'; may be repeated
    #[arg(long = "response-header", value_name = "HEADER", value_parser = parse_header)]
    response_headers: Vec<(HeaderName, HeaderValue)>,
    /// Answer as JSON
    #[arg(long)]
    json: bool,
}

pub fn explain(args: &ExplainArgs) -> Ended {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    let secrets = match secrets(&config) {
        Ok(secrets) => secrets,
        Err(error) => {
            eprintln!("burdock: {error}");
            return Ended::Failed;
        }
    };
    let trusted = config.listeners.first().map(|listener| listener.trusted_proxies.clone()).unwrap_or_default();
    let now = Clock::start().moment().now();
    let balancer = Balancer::new(config.plan, &secrets, None, now);
    if let Err(unknown) = take_down(&balancer, &args.down) {
        eprintln!("burdock: --down {unknown}: no upstream has a server of that name");
        return Ended::Misused;
    }
    let told = tell(&balancer, args, &trusted, now);
    print(&told, args.json)
}

fn tell(balancer: &Balancer, args: &ExplainArgs, trusted: &TrustedProxies, now: Now) -> Explanation {
    let headers: HeaderMap = args.headers.iter().cloned().collect();
    let host = headers.get("host").and_then(|host| host.to_str().ok()).or_else(|| args.url.host()).unwrap_or_default();
    let listener = if args.url.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
    let request = Request {
        method: &args.method,
        host,
        path: args.url.path(),
        query: args.url.query(),
        headers: &headers,
        client: client_address(args.client, &headers, trusted),
        scheme: scheme(args.client, listener, &headers, trusted),
    };
    match balancer.route(request.host, request.path) {
        None => Explanation::unrouted(),
        Some(route) => decide(balancer, route, &request, args, now),
    }
}

fn decide(balancer: &Balancer, route: RouteIndex, request: &Request<'_>, args: &ExplainArgs, now: Now) -> Explanation {
    let pool = balancer.pool_of(route);
    let mut exchange = pool.receive(request, now);
    let claims = ClaimTold::all(&exchange, now);
    let mut told = Explanation {
        route: Some(balancer.routes()[route.0].name.to_string()),
        upstream: Some(pool.upstream().name().to_string()),
        claims,
        ..Explanation::unrouted()
    };
    match exchange.pick(None, now, &mut rand::rng()) {
        Assignment::Send { at, slot: _slot } => {
            let server = &pool.upstream().servers()[at];
            told.server = Some(server.id().to_string());
            told.address = Some(server.spec().address.to_string());
            told.status = None;
            told.to_server = headers_told(&exchange.request_edits(request.headers, now).set);
            settle(&mut told, &exchange, args, now);
        }
        Assignment::Refuse(refusal) => {
            told.reason = refusal.reason.as_str();
            told.status = Some(refusal.status.as_u16());
        }
    }
    told
}

fn settle(told: &mut Explanation, exchange: &Exchange, args: &ExplainArgs, now: Now) {
    let headers: HeaderMap = args.response_headers.iter().cloned().collect();
    let response = Response { status: args.status, headers: &headers };
    let settlement = exchange.settle(&response, now, &mut rand::rng());
    told.reason = exchange.decision().map_or("", |decision| decision.reason.as_str());
    told.method = exchange.method().as_str();
    told.from = exchange.from().map(|server| server.id().to_string());
    told.settled = settlement.settled.as_str();
    let edits = settlement.edits;
    told.set_cookie = edits.server_cookies.iter().flatten().chain(&edits.cookies).map(text).collect();
    told.headers = headers_told(&edits.set);
}

fn headers_told(headers: &[(HeaderName, HeaderValue)]) -> BTreeMap<String, String> {
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The secrets that a running process would use; a key of no use to anybody where that would make its own first.
fn secrets(config: &Config) -> Result<Secrets, keys::KeyError> {
    if config.keys.is_empty() && !keys::kept_path(&config.process.state_dir).exists() {
        eprintln!("burdock: no keys are configured and none has been made yet, so every token counts as of an unknown key");
        let random = &mut rand::rng();
        return keys::with_keys(KeyRing::new(vec![Key::generate(random)])?, FingerprintKey::generate(random), config);
    }
    keys::secrets(config)
}

/// Servers count as up, except those that are said to be down.
fn take_down<'d>(balancer: &Balancer, down: &'d [String]) -> Result<(), &'d str> {
    let servers = || balancer.pools().iter().flat_map(|pool| pool.upstream().servers());
    if let Some(unknown) = down.iter().find(|id| !servers().any(|server| server.id().as_str() == id.as_str())) {
        return Err(unknown);
    }
    for server in servers() {
        let is_down = down.iter().any(|id| id == server.id().as_str());
        server.vitals().set(if is_down { Health::Down } else { Health::Up }, burdock::time::Uptime::default());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer is what was asked for")]
fn print(told: &Explanation, json: bool) -> Ended {
    if !json {
        print!("{told}");
        return Ended::Well;
    }
    match serde_json::to_string_pretty(told) {
        Ok(text) => {
            println!("{text}");
            Ended::Well
        }
        Err(error) => {
            eprintln!("burdock: {error}");
            Ended::Failed
        }
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written as 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header's name"))?;
    let value = value.trim().parse().map_err(|_| "this is not a header's value".to_owned())?;
    Ok((name, value))
}
