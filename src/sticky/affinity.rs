//! The header Burdock-Affinity. In a request it tells the server that the session comes from another server, and why; in a
//! response it holds the application's order about the tie. Whether an order can be carried out is decided elsewhere.

use ::http::{HeaderName, HeaderValue};

use super::spec::{AffinitySpec, OrderKind};
use crate::ids::ServerId;

pub static HEADER: HeaderName = HeaderName::from_static("burdock-affinity");

/// What an application orders in a response.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AffinityOrder {
    /// The tie ends: the next request is balanced like that of a new session.
    Release,
    /// The idle time starts again, however recent the stamp is.
    Extend,
    /// Ties the session to another server of the upstream.
    MoveTo(ServerId),
}

/// How a session comes to a server that it is not tied to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrival {
    /// For good.
    Moved,
    /// Temporarily.
    Detour,
}

/// The header for the server that receives the session. None if the id is not valid in a header.
pub fn announcement(arrival: Arrival, from: Option<&ServerId>, reason: &str) -> Option<HeaderValue> {
    let arrival = match arrival {
        Arrival::Moved => "moved",
        Arrival::Detour => "detour",
    };
    let from = from.map(|id| format!(" from={id};")).unwrap_or_default();
    HeaderValue::try_from(format!("{arrival};{from} reason={reason}")).ok()
}

/// The order in a response's header, if the configuration allows it.
pub fn order(value: &HeaderValue, spec: &AffinitySpec) -> Option<AffinityOrder> {
    let order = parse(value.to_str().ok()?.trim())?;
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

    fn allowed(text: &'static str, obey: &[OrderKind]) -> Option<AffinityOrder> {
        order(&HeaderValue::from_static(text), &AffinitySpec { obey: obey.to_vec(), ..AffinitySpec::default() })
    }

    const ALL: [OrderKind; 3] = [OrderKind::Release, OrderKind::Extend, OrderKind::MoveTo];

    #[test]
    fn an_application_may_order_release_extend_and_move() {
        assert_eq!(allowed("release", &ALL), Some(AffinityOrder::Release));
        assert_eq!(allowed(" Extend ", &ALL), Some(AffinityOrder::Extend));
        assert_eq!(allowed("move-to=web-2", &ALL), Some(AffinityOrder::MoveTo(ServerId::parse("web-2").unwrap())));
    }

    #[test]
    fn unknown_and_disallowed_orders_are_ignored() {
        assert_eq!(allowed("release", &[OrderKind::Extend]), None);
        for text in ["", "releases", "move-to", "move-to=", "move-to=a b", "moved; from=a; reason=down"] {
            assert_eq!(allowed(text, &ALL), None, "{text}");
        }
    }

    #[test]
    fn an_announcement_names_the_previous_server_and_the_reason() {
        let from = ServerId::parse("web-1").unwrap();
        let announced = |arrival, from| announcement(arrival, from, "down").unwrap().to_str().unwrap().to_owned();
        assert_eq!(announced(Arrival::Moved, Some(&from)), "moved; from=web-1; reason=down");
        assert_eq!(announced(Arrival::Detour, None), "detour; reason=down");
    }

    proptest! {
        #[test]
        fn any_text_can_be_parsed_as_an_order(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
