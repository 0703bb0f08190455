//! One generation of the configuration, as requests use it: the core's balancer with prepared peers and metric handles.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use burdock::balancer::{Balancer, StickyUpstream};
use burdock::ids::UpstreamName;
use burdock::route::RouteIndex;
use burdock::upstream::spec::UpstreamSpec;
use pingora::upstreams::peer::HttpPeer;

use crate::servers::connection_use::ConnectionUse;
use crate::servers::http_upgrade;
use crate::servers::peer;
use crate::servers::peer::PeerError;
use crate::telemetry::metrics::{Metrics, RouteMeters, UpstreamMeters};

/// One generation, published as a whole.
#[derive(Debug)]
pub struct Generation {
    pub balancer: Balancer,
    by_route: Box<[Arc<UpstreamHandle>]>,
    routes: Box<[Arc<RouteMeters>]>,
    upstreams: Box<[Arc<UpstreamHandle>]>,
    /// The largest header block that any upstream takes.
    header_bytes: usize,
}

/// An upstream with its peers and meters.
#[derive(Debug)]
pub struct UpstreamHandle {
    pub sticky: Arc<StickyUpstream>,
    pub meters: Arc<UpstreamMeters>,
    peers: Box<[Peers]>,
    /// Whether a warning about a dropped cookie was logged.
    warned: AtomicBool,
}

/// The peers of a server.
#[derive(Debug)]
struct Peers {
    requests: HttpPeer,
    upgrades: HttpPeer,
}

impl Generation {
    /// Reuses the handles of unchanged upstreams of `earlier`.
    pub fn new(balancer: Balancer, metrics: &Metrics, earlier: Option<&Self>) -> Result<Self, PeerError> {
        let kept = |sticky: &Arc<StickyUpstream>| {
            let before = earlier?.upstream(sticky.name())?;
            Arc::ptr_eq(&before.sticky, sticky).then(|| Arc::clone(before))
        };
        let handle = |sticky| kept(sticky).map_or_else(|| UpstreamHandle::new(sticky, metrics).map(Arc::new), Ok);
        let upstreams = balancer.upstreams().iter().map(handle).collect::<Result<Box<[_]>, _>>()?;
        let handle_of = |sticky: &Arc<StickyUpstream>| balancer.position(sticky.name()).map(|at| Arc::clone(&upstreams[at]));
        let by_route =
            (0..balancer.routes().len()).filter_map(|at| handle_of(balancer.upstream_of(RouteIndex(at)))).collect();
        let routes = balancer.routes().iter().map(|route| Arc::new(metrics.route(&route.name))).collect();
        let limits = balancer.upstreams().iter().map(|sticky| sticky.upstream().spec().limits.header_bytes);
        let header_bytes = limits.max().unwrap_or(0);
        Ok(Self { balancer, by_route, routes, upstreams, header_bytes })
    }

    /// The largest header block that any upstream takes, in bytes.
    pub fn header_bytes(&self) -> usize {
        self.header_bytes
    }

    pub fn upstream_of(&self, route: RouteIndex) -> &Arc<UpstreamHandle> {
        &self.by_route[route.0]
    }

    pub fn route_meters(&self, route: RouteIndex) -> &Arc<RouteMeters> {
        &self.routes[route.0]
    }

    pub fn upstreams(&self) -> &[Arc<UpstreamHandle>] {
        &self.upstreams
    }

    fn upstream(&self, name: &UpstreamName) -> Option<&Arc<UpstreamHandle>> {
        self.balancer.position(name).map(|at| &self.upstreams[at])
    }

    /// The peer of a server of an upstream, which may be of an earlier generation: at its current address, or at its last one if
    /// it was removed.
    pub fn peer(&self, upstream: &UpstreamHandle, at: usize, purpose: ConnectionUse) -> HttpPeer {
        let earlier = upstream.sticky.upstream();
        let now = self.upstream(earlier.name());
        let place = now.and_then(|now| Some((&**now, now.sticky.upstream().position(earlier.servers()[at].id())?)));
        let (upstream, at) = place.unwrap_or((upstream, at));
        upstream.peer(at, purpose)
    }
}

impl UpstreamHandle {
    fn new(sticky: &Arc<StickyUpstream>, metrics: &Metrics) -> Result<Self, PeerError> {
        let spec: &UpstreamSpec = sticky.upstream().spec();
        let peers = spec
            .servers
            .iter()
            .map(|server| {
                let requests = peer::make(server, spec, spec.timeouts.read)?;
                let upgrades = peer::make(server, spec, spec.timeouts.upgraded)?;
                let upgrades = http_upgrade::peer(upgrades, spec.timeouts.read);
                Ok(Peers { requests, upgrades })
            })
            .collect::<Result<_, PeerError>>()?;
        Ok(Self {
            sticky: Arc::clone(sticky),
            meters: Arc::new(metrics.upstream(spec)),
            peers,
            warned: AtomicBool::new(false),
        })
    }

    /// Warns, once, that servers set the cookie that this entry inserts.
    pub fn warn_of_dropped_cookie(&self, entry: usize) {
        if self.warned.load(Relaxed) || self.warned.swap(true, Relaxed) {
            return;
        }
        log::warn!(
            "{}: servers set the same cookie as the sticky entry {}, which drops theirs: if it is the application's session \
             cookie, its sessions are lost. Use another name, follows, mode: prefix or learn; or preserve: true if servers may \
             set Burdock's cookie",
            self.sticky.name(),
            self.sticky.chain().entries()[entry].method,
        );
    }

    /// The peer of the server at this position.
    pub fn peer(&self, at: usize, purpose: ConnectionUse) -> HttpPeer {
        match purpose {
            ConnectionUse::Request => self.peers[at].requests.clone(),
            ConnectionUse::RequestOnNew => {
                let mut peer = HttpPeer { group_key: rand::random(), ..self.peers[at].requests.clone() };
                // No later request could find it in the pool.
                peer.options.idle_timeout = Some(Duration::ZERO);
                peer
            }
            // A random key keeps it from pooled connections.
            ConnectionUse::HttpUpgrade => HttpPeer { group_key: rand::random(), ..self.peers[at].upgrades.clone() },
        }
    }
}
