//! The vocabulary of the tests: a site, origins, a Burdock, clients. It speaks as much HTTP/1.1 as the tests need, and knows
//! nothing of Burdock's internals except the formats that Burdock promises.

mod api;
mod browser;
mod burdock;
mod client;
mod command;
mod dns;
mod load;
mod log_line;
mod metrics;
mod origin;
mod origin_process;
mod peers;
mod reply;
mod site;
mod token_codec;
mod wait;
mod wire;

pub use api::{Api, with_json};
pub use browser::Browser;
pub use burdock::{Burdock, Successor, is_running, with_defaults};
pub use client::Client;
pub use command::{CommandOutput, burdock, curl, run, signal};
pub use dns::Dns;
pub use load::{LoadGenerator, rounds};
pub use log_line::LogLine;
pub use metrics::Metrics;
pub use origin::{Origin, ReadMode, ReceivedRequest};
pub use origin_process::OriginProcess;
pub use peers::{Peer, TLS_PORT};
pub use reply::{Page, Reply};
pub use site::{Site, shop};
pub use token_codec::TokenCodec;
pub use wait::{SetOnDrop, eventually, wait_until};
pub use wire::{Request, Response, Wire};
