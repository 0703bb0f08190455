//! The vocabulary of the tests: a site, origins, a Burdock, clients. It speaks as much HTTP/1.1 as the tests need, and knows
//! nothing of Burdock's internals except the formats that Burdock promises.

mod api;
mod browser;
mod burdock;
mod client;
mod command;
mod dns;
mod line;
mod metrics;
mod mint;
mod origin;
mod origin_process;
mod peers;
mod reply;
mod site;
mod storm;
mod wait;
mod wire;

pub use api::{Api, with_json};
pub use browser::Browser;
pub use burdock::{Burdock, Successor, complete, is_running};
pub use client::Client;
pub use command::{Finished, burdock, curl, run, signal};
pub use dns::Dns;
pub use line::Line;
pub use metrics::Metrics;
pub use mint::Mint;
pub use origin::{Manners, Origin, Received};
pub use origin_process::OriginProcess;
pub use peers::{Peer, TLS_PORT};
pub use reply::{Page, Reply};
pub use site::{Site, shop};
pub use storm::{Storm, rounds};
pub use wait::{Raised, eventually, wait_until};
pub use wire::{Request, Response, Wire};
