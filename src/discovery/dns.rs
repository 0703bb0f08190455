//! DNS lookups with hickory-resolver. The core decides what an answer means.

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

/// Concurrent queries.
const MAX_CONCURRENT: usize = 32;
/// Attempts of one query, within its timeout.
const ATTEMPTS: u32 = 3;

/// A DNS client with a limit of concurrent queries.
#[derive(Clone)]
pub struct DnsClient {
    resolver: Result<TokioResolver, LookupError>,
    timeout: Duration,
    family: Family,
    permits: Arc<Semaphore>,
}

/// The result of a lookup.
#[derive(Debug)]
pub struct LookupResult {
    pub answer: Answer,
    /// The shortest TTL of its records.
    pub ttl: Duration,
    /// Why a part of it is from an earlier answer.
    pub error: Option<LookupError>,
}

/// Why a lookup failed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LookupError {
    /// The name does not exist or has no address.
    #[error("no such name, or no address")]
    Nothing,
    #[error("{0}")]
    Unanswered(String),
}

/// The last addresses of names, by record type. A failed query uses its last answer, so that one failure among many removes no
/// servers.
pub type Memory = HashMap<(String, RecordType), Vec<IpAddr>>;

/// The intermediate result of a lookup.
#[derive(Debug, Default)]
struct LookupProgress {
    memory: Memory,
    /// The number of answered queries.
    answers: usize,
    ttl: Option<u32>,
    error: Option<LookupError>,
}

impl DnsClient {
    pub fn new(dns: &DnsSpec) -> Self {
        let mut builder = match &dns.servers {
            DnsServers::System => system(),
            DnsServers::Listed(servers) => resolver_of(servers),
        };
        let options = builder.options_mut();
        options.timeout = dns.timeout / ATTEMPTS;
        options.attempts = ATTEMPTS as usize - 1;
        // The core decides when to ask again.
        options.cache_size = 0;
        options.use_hosts_file = match dns.servers {
            DnsServers::System => ResolveHosts::Always,
            DnsServers::Listed(_) => ResolveHosts::Never,
        };
        let permits = Arc::new(Semaphore::new(MAX_CONCURRENT));
        // Building fails only with TLS, which is not used.
        let resolver = builder.build().map_err(|error| LookupError::Unanswered(error.to_string()));
        Self { resolver, timeout: dns.timeout, family: dns.family, permits }
    }

    /// Looks a name up. `memory` is what the previous lookup left.
    ///
    /// # Errors
    /// If there is no answer, or no server in it.
    pub async fn look_up(&self, lookup: &Lookup, memory: &mut Memory) -> Result<LookupResult, LookupError> {
        let mut progress = LookupProgress::default();
        let answer = match lookup {
            Lookup::Host(name, port) => {
                let ips = self.addresses(name.as_str().to_owned(), memory, &mut progress).await;
                Answer::of_hosts(*port, ips)
            }
            Lookup::Srv(name) => {
                let records = self.ask(name.as_str(), RecordType::SRV).await?;
                progress.answered(&records);
                Answer::of_services(self.services(&records, memory, &mut progress).await)
            }
        };
        let Some(answer) = answer.filter(|_| progress.answers > 0) else {
            return Err(progress.error.unwrap_or(LookupError::Nothing));
        };
        *memory = progress.memory;
        let ttl = if progress.error.is_some() { 0 } else { progress.ttl.unwrap_or_default() };
        Ok(LookupResult { answer, ttl: Duration::from_secs(ttl.into()), error: progress.error })
    }

    /// Resolves the targets of SRV records, each target once.
    async fn services(&self, records: &[Record], memory: &Memory, progress: &mut LookupProgress) -> Vec<Service> {
        let services: Vec<&SRV> = records.iter().filter_map(service).collect();
        let mut targets: Vec<String> = services.iter().map(|srv| srv.target.to_ascii()).collect();
        targets.sort_unstable();
        targets.dedup();
        let memory = Arc::new(memory.clone());
        let mut queries = JoinSet::new();
        for target in targets {
            let (client, memory) = (self.clone(), Arc::clone(&memory));
            queries.spawn(async move {
                let mut progress = LookupProgress::default();
                let ips = client.addresses(target.clone(), &memory, &mut progress).await;
                (target, ips, progress)
            });
        }
        let mut of_target: HashMap<String, Vec<IpAddr>> = HashMap::new();
        while let Some(Ok((target, ips, part))) = queries.join_next().await {
            progress.merge(part);
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

    /// The addresses of a name, of the configured family. A failed query yields the addresses it had before.
    async fn addresses(&self, name: String, memory: &Memory, progress: &mut LookupProgress) -> Vec<IpAddr> {
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
                    progress.answered(&records);
                    records.iter().filter_map(address).collect()
                }
                Err(error) => {
                    progress.error = Some(error);
                    memory.get(&known).cloned().unwrap_or_default()
                }
            };
            all.extend_from_slice(&ips);
            progress.memory.insert(known, ips);
        }
        all
    }

    /// The records of a name; empty if there are none.
    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<Record>, LookupError> {
        let _permit = self.permits.acquire().await.map_err(|error| LookupError::Unanswered(error.to_string()))?;
        let resolver = self.resolver.as_ref().map_err(Clone::clone)?;
        match tokio::time::timeout(self.timeout, resolver.lookup(name, kind)).await {
            Ok(Ok(lookup)) => Ok(lookup.answers().to_vec()),
            Ok(Err(error)) if error.is_no_records_found() => Ok(Vec::new()),
            Ok(Err(error)) => Err(LookupError::Unanswered(error.to_string())),
            Err(_) => Err(LookupError::Unanswered(format!("no answer within {:?}", self.timeout))),
        }
    }
}

impl LookupError {
    pub fn resolved(&self) -> Resolved {
        match self {
            Self::Nothing => Resolved::Nothing,
            Self::Unanswered(_) => Resolved::Failed,
        }
    }
}

impl LookupProgress {
    fn answered(&mut self, records: &[Record]) {
        self.answers += 1;
        self.ttl = records.iter().map(|record| record.ttl).chain(self.ttl).min();
    }

    fn merge(&mut self, other: Self) {
        self.memory.extend(other.memory);
        self.answers += other.answers;
        self.ttl = [self.ttl, other.ttl].into_iter().flatten().min();
        self.error = other.error.or_else(|| self.error.take());
    }
}

/// A resolver with the system's configuration; without one it uses the server on this host (resolv.conf(5)).
fn system() -> ResolverBuilder<TokioRuntimeProvider> {
    TokioResolver::builder_tokio().unwrap_or_else(|error| {
        log::warn!("/etc/resolv.conf: {error}; using the DNS server at 127.0.0.1");
        resolver_of(&[([127, 0, 0, 1], 53).into()])
    })
}

/// A resolver that uses these servers, over UDP, and over TCP for long answers.
fn resolver_of(servers: &[SocketAddr]) -> ResolverBuilder<TokioRuntimeProvider> {
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
