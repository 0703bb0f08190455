//! `explain`: where a request would go now.

use std::net::IpAddr;

use ::http::{Method, Uri};
use clap::Args;

use super::client::AskError;
use super::console::Console;
use crate::api;
use crate::api::explain::{Asked, Explanation, Field, Scheme};
use crate::cli::outcome::Outcome;

/// Explains where a request would go now, and why, without sending it
///
/// It uses the current server states and session tables, and does not mark a session as seen.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The request's URL, or only its path
    #[arg(value_name = "URL")]
    target: Uri,
    /// The request's method
    #[arg(short = 'X', long, default_value = "GET")]
    method: Method,
    /// A header of the request, such as 'Cookie: a=b'; repeatable
    #[arg(short = 'H', long = "header", value_parser = field)]
    headers: Vec<Field>,
    /// The client's address
    #[arg(long, default_value = "127.0.0.1")]
    client: IpAddr,
}

pub fn explain(console: &Console, args: &ExplainArgs) -> Result<Outcome, AskError> {
    let named = args.headers.iter().find(|field| field.name.eq_ignore_ascii_case("host")).map(|field| field.value.clone());
    let host = named.or_else(|| args.target.authority().map(ToString::to_string)).unwrap_or_default();
    let path = args.target.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let scheme = if args.target.scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
    let (method, client) = (args.method.to_string(), args.client.to_string());
    let asked = Asked { method, host, path, headers: args.headers.clone(), client, scheme };
    let answer = console.client.send(Method::POST, &api::path(&["explain"]), &asked)?;
    console.print(answer, |explanation: Explanation| explanation.to_string())
}

fn field(text: &str) -> Result<Field, String> {
    let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
    Ok(Field { name: name.trim().to_owned(), value: value.trim().to_owned() })
}
