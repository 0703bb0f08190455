//! The memory of one shop: a bounded number of sessions, each with a customer and a cart. It must not know HTTP.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// The items for sale.
pub const GOODS: [&str; 4] = ["burdock", "teasel", "goosegrass", "velcro"];

/// Above this limit the oldest session is forgotten.
const MAX_SESSIONS: usize = 10_000;
/// Longest customer name, in characters.
const MAX_NAME: usize = 40;
/// The most of one item in a cart.
const MAX_COUNT: u32 = 999;

/// One shop, with its own memory.
pub struct Shop {
    pub id: String,
    sessions: Mutex<Sessions>,
}

#[derive(Default)]
struct Sessions {
    known: HashMap<String, Session>,
    /// Oldest first.
    order: VecDeque<String>,
}

/// A client's session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    pub customer: Option<String>,
    cart: [u32; GOODS.len()],
    pub origin: Origin,
}

/// How a session began.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Origin {
    #[default]
    New,
    /// The client named a session that this shop does not know: another shop's.
    Lost,
}

/// The session that a request names.
pub enum Visit {
    Nameless,
    Known(Session),
    /// It is not in this shop's memory.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
#[error("no such item: choose one of {}", GOODS.join(", "))]
pub struct NoSuchItem;

impl Shop {
    #[must_use]
    pub fn new(id: String) -> Self {
        Self { id, sessions: Mutex::default() }
    }

    /// Finds the session of a request, without changing anything.
    pub fn visit(&self, name: Option<&str>) -> Visit {
        let Some(name) = name else { return Visit::Nameless };
        self.sessions.lock().known.get(name).cloned().map_or(Visit::Unknown, Visit::Known)
    }

    /// Logs a customer in and returns the session's name.
    pub fn log_in(&self, name: Option<&str>, customer: &str) -> String {
        let customer: String = customer.trim().chars().take(MAX_NAME).collect();
        self.change(name, |session| {
            session.customer = (!customer.is_empty()).then_some(customer);
            session.origin = Origin::New;
        })
    }

    /// Adds an item to the cart and returns the session's name.
    ///
    /// # Errors
    /// If the shop does not sell it.
    pub fn put(&self, name: Option<&str>, item: &str) -> Result<String, NoSuchItem> {
        let item = GOODS.iter().position(|good| *good == item).ok_or(NoSuchItem)?;
        Ok(self.change(name, |session| {
            if let Some(count) = session.cart.get_mut(item) {
                *count = (*count + 1).min(MAX_COUNT);
            }
        }))
    }

    pub fn log_out(&self, name: &str) {
        let mut sessions = self.sessions.lock();
        sessions.known.remove(name);
        sessions.order.retain(|known| known != name);
    }

    /// An unknown name is never reused: the session gets a new one.
    fn change(&self, name: Option<&str>, change: impl FnOnce(&mut Session)) -> String {
        let mut sessions = self.sessions.lock();
        if let Some((name, session)) = name.and_then(|name| Some((name, sessions.known.get_mut(name)?))) {
            change(session);
            return name.to_owned();
        }
        let mut session = Session { origin: Origin::of(name), ..Session::default() };
        change(&mut session);
        sessions.add(session)
    }
}

impl Origin {
    fn of(name: Option<&str>) -> Self {
        if name.is_some() { Self::Lost } else { Self::New }
    }
}

impl Sessions {
    fn add(&mut self, session: Session) -> String {
        if self.order.len() >= MAX_SESSIONS {
            let oldest = self.order.pop_front();
            oldest.and_then(|oldest| self.known.remove(&oldest));
        }
        let name = format!("{:032x}", rand::random::<u128>());
        self.order.push_back(name.clone());
        self.known.insert(name.clone(), session);
        name
    }
}

impl Session {
    /// The items in the cart and their counts.
    pub fn cart(&self) -> impl Iterator<Item = (&'static str, u32)> {
        GOODS.into_iter().zip(self.cart).filter(|(_, count)| *count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(shop: &Shop, name: &str) -> Session {
        match shop.visit(Some(name)) {
            Visit::Known(session) => session,
            Visit::Nameless | Visit::Unknown => panic!("the shop knows no session {name}"),
        }
    }

    #[test]
    fn cart_stays_in_its_session() {
        let shop = Shop::new("shop-1".to_owned());
        let name = shop.log_in(None, " Ann ");
        assert_eq!(shop.put(Some(&name), "teasel").unwrap(), name);
        shop.put(Some(&name), "teasel").unwrap();
        let session = session(&shop, &name);
        assert_eq!(session.customer.as_deref(), Some("Ann"));
        assert_eq!(session.cart().collect::<Vec<_>>(), [("teasel", 2)]);
        assert!(shop.put(Some(&name), "caviar").is_err());
    }

    #[test]
    fn session_name_of_another_shop_is_replaced() {
        let shop = Shop::new("shop-1".to_owned());
        assert!(matches!(shop.visit(Some("theirs")), Visit::Unknown));
        let name = shop.put(Some("theirs"), "velcro").unwrap();
        assert_ne!(name, "theirs");
        assert_eq!(session(&shop, &name).origin, Origin::Lost);
        shop.log_in(Some(&name), "ann");
        assert_eq!(session(&shop, &name).origin, Origin::New);
    }

    #[test]
    fn full_memory_forgets_the_oldest_session() {
        let shop = Shop::new("shop-1".to_owned());
        let first = shop.log_in(None, "ann");
        for _ in 0..MAX_SESSIONS {
            shop.log_in(None, "bob");
        }
        assert!(matches!(shop.visit(Some(&first)), Visit::Unknown));
        assert_eq!(shop.sessions.lock().known.len(), MAX_SESSIONS);
    }

    #[test]
    fn logged_out_session_is_unknown() {
        let shop = Shop::new("shop-1".to_owned());
        let name = shop.log_in(None, "ann");
        shop.log_out(&name);
        assert!(matches!(shop.visit(Some(&name)), Visit::Unknown));
    }
}
