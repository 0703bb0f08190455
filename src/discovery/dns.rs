//! Asks DNS where servers are, by hickory-resolver. What an answer means is the core's.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use burdock::upstream::discovery::{Answer, DnsServers, DnsSpec, Family, Lookup, Service};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::telemetry::metrics::Resolved;

/// Questions under way at one time.
const AT_ONCE: usize = 32;
/// Tries of one question, as far as its time reaches.
const TRIES: u32 = 3;

/// Asks, so many questions at once.
#[derive(Clone)]
pub struct Asker {
    resolver: Result<TokioResolver, Trouble>,
    timeout: Duration,
    family: Family,
    gate: Arc<Semaphore>,
}

/// What was found by a name.
#[derive(Debug)]
pub struct Found {
    pub answer: Answer,
    /// How long its records live.
    pub ttl: Duration,
    /// Why a part of it is an earlier answer.
    pub trouble: Option<Trouble>,
}

/// Why nothing was found.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// The answer is that there is no such name, or that it leads to no server.
    #[error("there is no such name, or it has no address")]
    Nothing,
    #[error("{0}")]
    Unanswered(String),
}

/// The addresses that names had in the last answers, by kind of record: a question that fails has the answer of before, so that
/// one record among many does not take servers away.
pub type Memory = HashMap<(String, RecordType), Vec<IpAddr>>;

/// What a look-up has gathered so far.
#[derive(Debug, Default)]
struct Gathered {
    memory: Memory,
    /// Questions that were answered.
    answers: usize,
    ttl: Option<u32>,
    trouble: Option<Trouble>,
}

impl Asker {
    pub fn new(dns: &DnsSpec) -> Self {
        let mut builder = match &dns.servers {
            DnsServers::System => system(),
            DnsServers::Listed(servers) => asking(servers),
        };
        let options = builder.options_mut();
        options.timeout = dns.timeout / TRIES;
        options.attempts = TRIES as usize - 1;
        // When to ask again is our own affair.
        options.cache_size = 0;
        options.use_hosts_file = match dns.servers {
            DnsServers::System => ResolveHosts::Always,
            DnsServers::Listed(_) => ResolveHosts::Never,
        };
        let gate = Arc::new(Semaphore::new(AT_ONCE));
        // Building fails only by TLS, which is not there.
        let resolver = builder.build().map_err(|error| Trouble::Unanswered(error.to_string()));
        Self { resolver, timeout: dns.timeout, family: dns.family, gate }
    }

    /// Looks a name up. `memory` is what the look-up before has left.
    ///
    /// # Errors
    /// The trouble, where there is no answer or nothing in it that could be a server.
    pub async fn look_up(&self, lookup: &Lookup, memory: &mut Memory) -> Result<Found, Trouble> {
        let mut gathered = Gathered::default();
        let answer = match lookup {
            Lookup::Host(name, port) => {
                let ips = self.addresses(name.as_str().to_owned(), memory, &mut gathered).await;
                Answer::of_hosts(*port, ips)
            }
            Lookup::Srv(name) => {
                let records = self.ask(name.as_str(), RecordType::SRV).await?;
                gathered.answered(&records);
                Answer::of_services(self.services(&records, memory, &mut gathered).await)
            }
        };
        let Some(answer) = answer.filter(|_| gathered.answers > 0) else {
            return Err(gathered.trouble.unwrap_or(Trouble::Nothing));
        };
        *memory = gathered.memory;
        let ttl = if gathered.trouble.is_some() { 0 } else { gathered.ttl.unwrap_or_default() };
        Ok(Found { answer, ttl: Duration::from_secs(ttl.into()), trouble: gathered.trouble })
    }

    /// Where the targets of SRV records are; each target is asked for once.
    async fn services(&self, records: &[Record], memory: &Memory, gathered: &mut Gathered) -> Vec<Service> {
        let services: Vec<&SRV> = records.iter().filter_map(service).collect();
        let mut targets: Vec<String> = services.iter().map(|srv| srv.target.to_ascii()).collect();
        targets.sort_unstable();
        targets.dedup();
        let memory = Arc::new(memory.clone());
        let mut asking = JoinSet::new();
        for target in targets {
            let (asker, memory) = (self.clone(), Arc::clone(&memory));
            asking.spawn(async move {
                let mut gathered = Gathered::default();
                let ips = asker.addresses(target.clone(), &memory, &mut gathered).await;
                (target, ips, gathered)
            });
        }
        let mut of_target: HashMap<String, Vec<IpAddr>> = HashMap::new();
        while let Some(Ok((target, ips, part))) = asking.join_next().await {
            gathered.merge(part);
            of_target.insert(target, ips);
        }
        let at = |srv: &&SRV| of_target.get(&srv.target.to_ascii()).cloned().unwrap_or_default();
        services
            .into_iter()
            .flat_map(|srv| {
                let service =
                    |ip| Service { address: SocketAddr::new(ip, srv.port), priority: srv.priority, weight: srv.weight };
                at(&srv).into_iter().map(service)
            })
            .collect()
    }

    /// The addresses of a name that count. Those of a question that fails are the ones it had before.
    async fn addresses(&self, name: String, memory: &Memory, gathered: &mut Gathered) -> Vec<IpAddr> {
        let asked = match self.family {
            Family::Any => {
                let both = tokio::join!(self.ask(&name, RecordType::A), self.ask(&name, RecordType::AAAA));
                vec![(RecordType::A, both.0), (RecordType::AAAA, both.1)]
            }
            Family::Ipv4 => vec![(RecordType::A, self.ask(&name, RecordType::A).await)],
            Family::Ipv6 => vec![(RecordType::AAAA, self.ask(&name, RecordType::AAAA).await)],
        };
        let mut all = Vec::new();
        for (kind, asked) in asked {
            let known = (name.clone(), kind);
            let ips = match asked {
                Ok(records) => {
                    gathered.answered(&records);
                    records.iter().filter_map(address).collect()
                }
                Err(trouble) => {
                    gathered.trouble = Some(trouble);
                    memory.get(&known).cloned().unwrap_or_default()
                }
            };
            all.extend_from_slice(&ips);
            gathered.memory.insert(known, ips);
        }
        all
    }

    /// The records of a name, none where there are none.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, Trouble> {
        let _permit = self.gate.acquire().await.map_err(|error| Trouble::Unanswered(error.to_string()))?;
        let resolver = self.resolver.as_ref().map_err(Clone::clone)?;
        match tokio::time::timeout(self.timeout, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => Ok(lookup.answers().to_vec()),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(Trouble::Unanswered(error.to_string())),
            Err(_) => Err(Trouble::Unanswered(format!("no answer within {:?}", self.timeout))),
        }
    }
}

impl Trouble {
    pub fn resolved(&self) -> Resolved {
        match self {
            Self::Nothing => Resolved::Nothing,
            Self::Unanswered(_) => Resolved::Failed,
        }
    }
}

impl Gathered {
    fn answered(&mut self, records: &[Record]) {
        self.answers += 1;
        self.ttl = records.iter().map(|record| record.ttl).chain(self.ttl).min();
    }

    fn merge(&mut self, other: Self) {
        self.memory.extend(other.memory);
        self.answers += other.answers;
        self.ttl = [self.ttl, other.ttl].into_iter().flatten().min();
        self.trouble = other.trouble.or_else(|| self.trouble.take());
    }
}

/// A resolver that asks as the system says. Where that says nothing, the server on this machine is asked (resolv.conf(5)).
fn system() -> ResolverBuilder<TokioRuntimeProvider> {
    TokioResolver::builder_tokio().unwrap_or_else(|error| {
        log::warn!("/etc/resolv.conf: {error}; 127.0.0.1 is asked for names");
        asking(&[([127, 0, 0, 1], 53).into()])
    })
}

/// A resolver that asks these servers, by UDP, and by TCP what is too long for that.
fn asking(servers: &[SocketAddr]) -> ResolverBuilder<TokioRuntimeProvider> {
    let server = |address: &SocketAddr| {
        let at = |mut connection: ConnectionConfig| {
            connection.port = address.port();
            connection
        };
        NameServerConfig::new(address.ip(), true, [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at).into())
    };
    let config = ResolverConfig::from_name_servers(servers.iter().map(server).collect());
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
}

fn service(record: &Record) -> Option<&SRV> {
    if let RData::SRV(srv) = &record.data { Some(srv) } else { None }
}

fn address(record: &Record) -> Option<IpAddr> {
    record.data.ip_addr()
}
