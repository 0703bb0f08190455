//! `burdock explain`: where a request would go, and why, without sending it.

use std::net::IpAddr;
use std::num::NonZeroU32;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use burdock::balancer::Balancer;
use burdock::balancer::exchange::Exchange;
use burdock::balancer::reason::TieAction;
use burdock::balancer::spec::Plan;
use burdock::config::Config;
use burdock::config::values::Listener;
use burdock::http::forwarded::Forwarding;
use burdock::http::request::{Request, Response, Scheme};
use burdock::route::RouteIndex;
use burdock::session::fingerprint_key::FingerprintKey;
use burdock::sticky::secrets::Secrets;
use burdock::time::Now;
use burdock::token::keys::{Key, KeyRing};
use burdock::upstream::health::Health;
use clap::Args;

use super::config_file::ConfigFile;
use super::outcome::Outcome;
use crate::api::explain::Explanation;
use crate::api::explanation;
use crate::runtime::clock::Clock;
use crate::runtime::keys;

/// Explains where a request would go, and why, without sending it
///
/// It reads only the configuration, not a running process. All servers count as up except those named with --down.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  burdock explain -c burdock.yaml https://shop.example.com/cart
  burdock explain -c burdock.yaml -H 'Cookie: BURDOCK_shop=AUJZ…' --down shop-1 http://shop.example.com/")]
pub struct ExplainArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// The request's URL, or only its path
    url: Uri,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET")]
    method: Method,
    /// A header of the request, such as 'Cookie: a=b'; repeatable
    #[arg(short = 'H', long = "header", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address
    #[arg(long, default_value = "127.0.0.1")]
    client: IpAddr,
    /// A server that counts as down; repeatable
    #[arg(long, value_name = "SERVER")]
    down: Vec<String>,
    /// The status of the response
    #[arg(long, default_value = "200")]
    status: StatusCode,
    /// A header of the response, such as 'Set-Cookie: JSESSIONID=1'; repeatable
    #[arg(long = "response-header", value_name = "HEADER", value_parser = parse_header)]
    response_headers: Vec<(HeaderName, HeaderValue)>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn explain(args: &ExplainArgs) -> Outcome {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(ended) => return ended,
    };
    let secrets = match secrets(&config) {
        Ok(secrets) => secrets,
        Err(error) => {
            eprintln!("burdock: {error}");
            return Outcome::Failure;
        }
    };
    let forwarding = config.listeners.first().map_or_else(Forwarding::default, Listener::forwarding);
    let now = Clock::start().moment().now();
    let balancer = match Balancer::new(with_small_tables(config.plan), &secrets, None, now) {
        Ok(balancer) => balancer,
        Err(error) => {
            eprintln!("burdock: {error}");
            return Outcome::Failure;
        }
    };
    if let Err(unknown) = take_down(&balancer, &args.down) {
        eprintln!("burdock: --down {unknown}: no upstream has a server with this id");
        return Outcome::UsageError;
    }
    print(&answer(&balancer, args, forwarding, now), args.json)
}

/// The tables stay empty here, so they need no memory for sessions.
fn with_small_tables(mut plan: Plan) -> Plan {
    for (table, _) in &mut plan.tables {
        table.capacity = NonZeroU32::MIN;
    }
    plan
}

fn answer(balancer: &Balancer, args: &ExplainArgs, forwarding: Forwarding<'_>, now: Now) -> Explanation {
    let headers: HeaderMap = args.headers.iter().cloned().collect();
    let host = headers.get("host").and_then(|host| host.to_str().ok()).or_else(|| args.url.host()).unwrap_or_default();
    let listener = if args.url.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
    let request = Request {
        method: &args.method,
        host,
        path: args.url.path(),
        query: args.url.query(),
        headers: &headers,
        client: forwarding.client_address(args.client, &headers),
        scheme: forwarding.scheme(args.client, listener, &headers),
    };
    match balancer.route(request.host, request.path) {
        None => explanation::unrouted(),
        Some(route) => decide(balancer, route, &request, args, now),
    }
}

fn decide(balancer: &Balancer, route: RouteIndex, request: &Request<'_>, args: &ExplainArgs, now: Now) -> Explanation {
    let mut exchange = balancer.upstream_of(route).receive(request, now);
    let mut explanation = explanation::decide(balancer, route, &mut exchange, request.headers, now);
    let found_by_name = &balancer.upstream_of(route).upstream().spec().discovery;
    explanation.not_looked_up = found_by_name.iter().map(|entry| entry.lookup.to_string()).collect();
    explanation.settled = Some(TieAction::None.as_str().to_owned());
    if explanation.server.is_some() {
        settle(&mut explanation, &exchange, args, now);
    }
    explanation
}

fn settle(explanation: &mut Explanation, exchange: &Exchange, args: &ExplainArgs, now: Now) {
    let headers: HeaderMap = args.response_headers.iter().cloned().collect();
    let response = Response { status: args.status, headers: &headers };
    let settlement = exchange.settle(&response, now, &mut rand::rng());
    explanation.settled = Some(settlement.action.as_str().to_owned());
    explanation.set_cookie = explanation::cookies_set(&settlement.edits);
    explanation.headers = explanation::headers_set(&settlement.edits);
}

/// The secrets that a running process would use; random ones if it would generate its own first. Nothing is generated here.
fn secrets(config: &Config) -> Result<Secrets, keys::KeyError> {
    let random = &mut rand::rng();
    let fingerprints = keys::existing_fingerprint_key(config)?.unwrap_or_else(|| FingerprintKey::generate(random));
    if config.keys.is_empty() && keys::seals(config) && !keys::kept_path(&config.process.state_dir).exists() {
        eprintln!("burdock: no keys are configured or generated yet: every token counts as sealed with an unknown key");
        return keys::with_keys(KeyRing::new(vec![Key::generate(random)])?, fingerprints, config);
    }
    keys::with_fingerprints(fingerprints, config)
}

/// Marks servers as up, except those in `down`.
fn take_down<'d>(balancer: &Balancer, down: &'d [String]) -> Result<(), &'d str> {
    let servers = || balancer.upstreams().iter().flat_map(|upstream| upstream.upstream().servers());
    if let Some(unknown) = down.iter().find(|id| !servers().any(|server| server.id().as_str() == id.as_str())) {
        return Err(unknown);
    }
    for server in servers() {
        let is_down = down.iter().any(|id| id == server.id().as_str());
        server.health_state().set(if is_down { Health::Down } else { Health::Up }, burdock::time::Uptime::default());
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the answer is the command's output")]
fn print(explanation: &Explanation, json: bool) -> Outcome {
    if !json {
        print!("{explanation}");
        return Outcome::Success;
    }
    match serde_json::to_string_pretty(explanation) {
        Ok(text) => {
            println!("{text}");
            Outcome::Success
        }
        Err(error) => {
            eprintln!("burdock: {error}");
            Outcome::Failure
        }
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
    let name = name.trim().parse().map_err(|_| format!("{name:?} is not a header name"))?;
    let value = value.trim().parse().map_err(|_| "not a header value".to_owned())?;
    Ok((name, value))
}
