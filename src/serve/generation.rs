//! The core's balancer together with what the shell prepares once per configuration: ready-made peers and metric handles.

use std::sync::Arc;

use burdock::balancer::{Balancer, StickyUpstream};
use burdock::route::RouteIndex;
use burdock::upstream::spec::UpstreamSpec;
use pingora::upstreams::peer::HttpPeer;

use crate::servers::http_upgrade;
use crate::servers::peer;
use crate::servers::peer::PeerError;
use crate::telemetry::metrics::{Metrics, RouteMeters, UpstreamMeters};

/// Everything that one configuration says of requests, published whole.
#[derive(Debug)]
pub struct Snapshot {
    pub balancer: Balancer,
    by_route: Box<[Arc<Lane>]>,
    routes: Box<[Arc<RouteMeters>]>,
    unrouted: Arc<RouteMeters>,
    lanes: Box<[Arc<Lane>]>,
}

/// A pool and what is needed to send requests to its servers.
#[derive(Debug)]
pub struct Lane {
    pub pool: Arc<StickyUpstream>,
    pub meters: Arc<UpstreamMeters>,
    peers: Box<[Peers]>,
}

/// How a server is reached.
#[derive(Debug)]
struct Peers {
    requests: HttpPeer,
    upgrades: HttpPeer,
}

/// What a connection to a server is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    Request,
    /// An upgraded stream, which may be silent for longer.
    Upgrade,
}

impl Snapshot {
    /// Lanes of pools that are as they were in `earlier` stay as they are.
    pub fn new(balancer: Balancer, metrics: &Metrics, earlier: Option<&Self>) -> Result<Self, PeerError> {
        let kept = |pool: &Arc<StickyUpstream>| earlier?.lanes.iter().find(|lane| Arc::ptr_eq(&lane.pool, pool)).cloned();
        let lane = |pool| kept(pool).map_or_else(|| Lane::new(pool, metrics).map(Arc::new), Ok);
        let lanes = balancer.upstreams().iter().map(lane).collect::<Result<Box<[_]>, _>>()?;
        let lane_of = |pool: &Arc<StickyUpstream>| lanes.iter().find(|lane| Arc::ptr_eq(&lane.pool, pool)).cloned();
        let by_route = (0..balancer.routes().len()).filter_map(|at| lane_of(balancer.upstream_of(RouteIndex(at)))).collect();
        let routes = balancer.routes().iter().map(|route| Arc::new(metrics.route(&route.name))).collect();
        let unrouted = Arc::new(metrics.route(&"none".into()));
        Ok(Self { balancer, by_route, routes, unrouted, lanes })
    }

    pub fn lane(&self, route: RouteIndex) -> &Arc<Lane> {
        &self.by_route[route.0]
    }

    pub fn route_meters(&self, route: RouteIndex) -> &Arc<RouteMeters> {
        &self.routes[route.0]
    }

    /// For requests that no route matches, or that are refused before they are routed.
    pub fn unrouted(&self) -> &Arc<RouteMeters> {
        &self.unrouted
    }

    pub fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// The peer of the server at this position of a lane, which may be that of an earlier configuration: where this one says that
    /// the server is. One that is not there any more is where it was.
    pub fn peer(&self, lane: &Lane, at: usize, purpose: Use) -> HttpPeer {
        let upstream = lane.pool.upstream();
        let now = self.lanes.iter().find(|now| now.pool.upstream().name() == upstream.name());
        let place = now.and_then(|now| Some((&**now, now.pool.upstream().position(upstream.servers()[at].id())?)));
        let (lane, at) = place.unwrap_or((lane, at));
        lane.peer(at, purpose)
    }
}

impl Lane {
    fn new(pool: &Arc<StickyUpstream>, metrics: &Metrics) -> Result<Self, PeerError> {
        let spec: &UpstreamSpec = pool.upstream().spec();
        let peers = spec
            .servers
            .iter()
            .map(|server| {
                let requests = peer::make(server, spec.timeouts, spec.timeouts.read)?;
                let upgrades = http_upgrade::peer(peer::make(server, spec.timeouts, spec.timeouts.upgraded)?);
                Ok(Peers { requests, upgrades })
            })
            .collect::<Result<_, PeerError>>()?;
        Ok(Self { pool: Arc::clone(pool), meters: Arc::new(metrics.upstream(spec)), peers })
    }

    /// The peer of the server at this position.
    pub fn peer(&self, at: usize, purpose: Use) -> HttpPeer {
        match purpose {
            Use::Request => self.peers[at].requests.clone(),
            // A key of its own keeps it from the connections that others have left open.
            Use::Upgrade => HttpPeer { group_key: rand::random(), ..self.peers[at].upgrades.clone() },
        }
    }
}
