//! The header Burdock-Affinity, by which Burdock tells an application that a session was moved to it, and by which the
//! application says what is to become of the tie. Who may say what, and whether it can be done, is decided elsewhere.

use ::http::{HeaderName, HeaderValue};

use super::spec::{AffinitySpec, OrderKind};
use crate::ids::ServerId;

pub static HEADER: HeaderName = HeaderName::from_static("burdock-affinity");

/// What an application asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AffinityOrder {
    /// The tie ends: the next request is balanced anew.
    Release,
    /// The idle time begins anew, however young the stamp is.
    Extend,
    /// The session is tied to another server of the upstream.
    MoveTo(ServerId),
}

/// How a session has come to a server that it was not tied to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// For good.
    Moved,
    /// For a while.
    Detour,
}

/// What the server that receives a moved session is told. None where an id could not stand in a header.
pub fn announcement(arrival: Arrival, from: Option<&ServerId>, reason: &str) -> Option<HeaderValue> {
    let arrival = match arrival {
        Arrival::Moved => "moved",
        Arrival::Detour => "detour",
    };
    let from = from.map(|id| format!(" from={id};")).unwrap_or_default();
    HeaderValue::try_from(format!("{arrival};{from} reason={reason}")).ok()
}

/// What a response that says this asks for, if that is allowed.
pub fn order(said: &HeaderValue, spec: &AffinitySpec) -> Option<AffinityOrder> {
    let order = parse(said.to_str().ok()?.trim())?;
    spec.obey.contains(&order.kind()).then_some(order)
}

fn parse(text: &str) -> Option<AffinityOrder> {
    match text.split_once('=') {
        None if text.eq_ignore_ascii_case("release") => Some(AffinityOrder::Release),
        None if text.eq_ignore_ascii_case("extend") => Some(AffinityOrder::Extend),
        Some((order, id)) if order.trim().eq_ignore_ascii_case("move-to") => {
            ServerId::parse(id.trim()).ok().map(AffinityOrder::MoveTo)
        }
        Some(_) | None => None,
    }
}

impl AffinityOrder {
    fn kind(&self) -> OrderKind {
        match self {
            Self::Release => OrderKind::Release,
            Self::Extend => OrderKind::Extend,
            Self::MoveTo(_) => OrderKind::MoveTo,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn said(text: &'static str, obey: &[OrderKind]) -> Option<AffinityOrder> {
        order(&HeaderValue::from_static(text), &AffinitySpec { obey: obey.to_vec(), ..AffinitySpec::default() })
    }

    const ALL: [OrderKind; 3] = [OrderKind::Release, OrderKind::Extend, OrderKind::MoveTo];

    #[test]
    fn an_application_may_release_extend_and_move() {
        assert_eq!(said("release", &ALL), Some(AffinityOrder::Release));
        assert_eq!(said(" Extend ", &ALL), Some(AffinityOrder::Extend));
        assert_eq!(said("move-to=web-2", &ALL), Some(AffinityOrder::MoveTo(ServerId::parse("web-2").unwrap())));
    }

    #[test]
    fn what_is_not_allowed_or_not_understood_is_not_said() {
        assert_eq!(said("release", &[OrderKind::Extend]), None);
        for text in ["", "releases", "move-to", "move-to=", "move-to=a b", "moved; from=a; reason=down"] {
            assert_eq!(said(text, &ALL), None, "{text}");
        }
    }

    #[test]
    fn a_server_is_told_from_where_and_why() {
        let from = ServerId::parse("web-1").unwrap();
        let told = |arrival, from| announcement(arrival, from, "down").unwrap().to_str().unwrap().to_owned();
        assert_eq!(told(Arrival::Moved, Some(&from)), "moved; from=web-1; reason=down");
        assert_eq!(told(Arrival::Detour, None), "detour; reason=down");
    }

    proptest! {
        #[test]
        fn reading_a_wish_is_total(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
