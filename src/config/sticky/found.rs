//! `route` and `hash` entries of `sticky`: ties that are found, not written.

use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::source::Sources;
use crate::session::load_factor::LoadFactor;
use crate::sticky::spec::{EntrySpec, HashSpec, RouteIdSpec, Strict, Way, WhenFull};

record! {
    "a route" => struct RouteIdText {
        /// Where the server's route stands: a source, or a list of which the first that the request carries counts.
        from: Sources,
        /// What happens to a session whose server cannot serve it, whatever failover says.
        strict: Strict = "false",
    }
}

record! {
    "a sticky hash" => struct HashText {
        /// What names the session: a source, or a list of which the first that the request carries counts.
        key: Sources,
        /// How far above its fair share of what is in flight a server may be loaded before its sessions spill to the next.
        load_factor: Option<LoadFactor>,
        /// What becomes of a session whose server is full; unless given, what failover says of full.
        when_full: Option<WhenFull>,
        /// What happens to a session whose server cannot serve it, whatever failover says.
        strict: Strict = "false",
    }
}

choice! {
    "what a full server does" => WhenFull {
        /// The session stays and is refused with 503.
        keep => Self::Keep,
        /// The next server on the ring serves it meanwhile.
        spill => Self::Spill,
    }
}

pub(super) fn route(written: RouteIdText) -> EntrySpec {
    EntrySpec { way: Way::Route(RouteIdSpec { from: written.from }), strict: written.strict }
}

pub(super) fn hash(written: HashText, at: Location, findings: &mut Findings) -> EntrySpec {
    let HashText { key, load_factor, when_full, strict } = written;
    if matches!(strict, Strict::Refuse(_)) && (load_factor.is_some() || when_full == Some(WhenFull::Spill)) {
        findings.fault_with_help(
            at,
            "strict keeps sessions away from other servers, load_factor and when_full: spill send them there",
            "remove one of the two",
        );
    }
    EntrySpec { way: Way::Hash(HashSpec { key, load_factor, when_full }), strict }
}
