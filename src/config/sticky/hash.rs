//! `hash` entries of `sticky`: their grammar and the rules between their fields.

use super::method_text::MethodText;
use crate::config::schema::choice::choice;
use crate::config::schema::errors::{Findings, Location};
use crate::config::schema::map::record;
use crate::config::source::Sources;
use crate::session::load_factor::LoadFactor;
use crate::session::scope::Scope;
use crate::sticky::entry::EntrySpec;
use crate::sticky::hash::HashSpec;
use crate::sticky::method::MethodSpec;
use crate::sticky::spec::{Strict, WhenFull};

record! {
    "a sticky hash" => struct HashText {
        /// What names the session: a source, or a list of which the first one that the request carries counts.
        key: Sources,
        /// How far above its fair share of requests in flight a server may be loaded before its sessions spill to the next
        /// server.
        load_factor: Option<LoadFactor>,
        /// What happens to a session whose server is full. The default is the action of failover.full.
        when_full: Option<WhenFull>,
        /// Whether a session whose server cannot serve it is refused, with 503 or this status, regardless of failover.
        strict: Strict = "false",
    }
}

choice! {
    "an action for a full server" => WhenFull {
        /// The session stays and is refused with 503.
        keep => Self::Keep,
        /// The next server on the ring serves it in the meantime.
        spill => Self::Spill,
    }
}

impl MethodText for HashText {
    fn build(self: Box<Self>, _scope: &Scope, at: Location, findings: &mut Findings) -> Option<(EntrySpec, Location)> {
        let Self { key, load_factor, when_full, strict } = *self;
        if matches!(strict, Strict::Refuse(_)) && (load_factor.is_some() || when_full == Some(WhenFull::Spill)) {
            findings.fault_with_help(
                at,
                "strict keeps sessions away from other servers, load_factor and when_full: spill send them there",
                "remove one of the two",
            );
        }
        Some((EntrySpec { method: MethodSpec::Hash(HashSpec { key, load_factor, when_full }), strict }, at))
    }
}
