//! Floods: of forged names, and of sessions that the application creates for bots.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;

use burdock::session::fingerprint_key::FingerprintKey;
use burdock::table::{Budget, BudgetSpec, CreationBudget, Known, ServerHandle, Table};
use burdock::time::UnixSeconds;

use super::{Chance, START, fingerprint, register, spec, steps};

const CAPACITY: u32 = 100_000;
const PEOPLE: u64 = 50_000;
const BOTS: u64 = 1 << 40;
const IDLE: u32 = 1_800;
/// Average number of seconds between two requests of a person.
const REQUEST_INTERVAL: u64 = 30;

/// People who send requests at their own pace. One request in a hundred is a new person, who replaces another.
struct Site {
    table: Table,
    server: ServerHandle,
    key: FingerprintKey,
    budget: CreationBudget,
    people: Vec<u64>,
    newcomer: u64,
    chance: Chance,
    kept: u64,
    lost: u64,
}

impl Site {
    fn new() -> Self {
        let table = Table::new(spec(CAPACITY, Some(IDLE), None));
        let server = register(&table, "web-1");
        let (creations, window) = (NonZeroU32::new(200).unwrap(), NonZeroU32::new(60).unwrap());
        let mut site = Self {
            server,
            table,
            key: FingerprintKey::parse(&"5a".repeat(32)).unwrap(),
            budget: CreationBudget::new(BudgetSpec { creations, window }),
            people: (0..PEOPLE).collect(),
            newcomer: PEOPLE,
            chance: Chance(11),
            kept: 0,
            lost: 0,
        };
        for person in 0..PEOPLE {
            site.tie(person, Budget::Within, START);
        }
        // A minute without a flood, in which most people return.
        (0..60).for_each(|second| site.second(START + second));
        (site.kept, site.lost) = (0, 0);
        site
    }

    fn tie(&self, session: u64, budget: Budget, now: u32) {
        self.table.tie(fingerprint(session), &self.server, budget, UnixSeconds(now));
    }

    /// The requests of people within a second.
    fn second(&mut self, now: u32) {
        for _ in 0..PEOPLE / REQUEST_INTERVAL {
            let person = self.chance.below(PEOPLE) as usize;
            if self.chance.below(100) == 0 {
                self.people[person] = self.newcomer;
                let budget = self.spend(person_address(self.newcomer), now);
                self.tie(self.newcomer, budget, now);
                self.newcomer += 1;
            } else {
                self.return_visit(self.people[person], now);
            }
        }
    }

    /// If the tie is lost, the application creates a new session, which later visits keep again.
    fn return_visit(&mut self, session: u64, now: u32) {
        if let Known::Session(_) = self.table.look(fingerprint(session), UnixSeconds(now)) {
            self.kept += 1;
        } else {
            self.lost += 1;
            self.tie(session, Budget::Within, now);
        }
    }

    fn spend(&mut self, client: IpAddr, now: u32) -> Budget {
        self.budget.spend(&self.key, client, UnixSeconds(now))
    }

    /// Creates 1,000,000 sessions for bots while people continue as before.
    fn flood(&mut self, seconds: u32, mut budget: impl FnMut(&mut Self, u64, u32) -> Budget) {
        let bots = 1_000_000;
        for second in 0..seconds {
            let now = START + 60 + second;
            for bot in 0..bots / u64::from(seconds) {
                let bot = u64::from(second) << 20 | bot;
                let budget = budget(self, bot, now);
                self.tie(BOTS + bot, budget, now);
            }
            self.second(now);
        }
    }

    fn share_kept(&self) -> f64 {
        self.kept as f64 / (self.kept + self.lost) as f64
    }

    /// The share of current people whose tie is in the table.
    fn held(&self, now: u32) -> f64 {
        let known = |session: &&u64| matches!(self.table.find(fingerprint(**session), UnixSeconds(now)), Known::Session(_));
        self.people.iter().filter(known).count() as f64 / PEOPLE as f64
    }
}

fn person_address(person: u64) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 | (person as u32 * 97) & 0x00ff_ffff).into()
}

fn bot_address(bot: u64) -> IpAddr {
    Ipv4Addr::from_bits(0xcb00_7100 | (bot as u32 & 0x3ff)).into()
}

#[test]
fn a_ten_minute_bot_flood_keeps_99_percent_of_sessions() {
    let mut site = Site::new();
    site.flood(600, |_, _, _| Budget::Within);
    assert!(site.kept > 500_000, "{}", site.kept);
    assert!(site.share_kept() >= 0.99, "{}", site.share_kept());
    assert!(site.held(START + 660) >= 0.99, "{}", site.held(START + 660));
}

#[test]
fn a_one_minute_flood_from_few_networks_keeps_99_percent_of_sessions() {
    let mut site = Site::new();
    site.flood(60, |site, bot, now| site.spend(bot_address(bot), now));
    assert!(site.share_kept() >= 0.99, "{}", site.share_kept());
    assert!(site.held(START + 120) >= 0.99, "{}", site.held(START + 120));
    let [over_budget, new, established] = site.table.stats().evicted;
    assert!(over_budget > 800_000 && new + established < 1_000, "{over_budget} {new} {established}");
}

#[test]
fn forged_names_create_no_sessions() {
    let site = Site::new();
    let created = site.table.stats();
    let count = site.table.count(site.server.index(), UnixSeconds(START));
    for forged in 0..steps(10_000_000) {
        assert_eq!(site.table.look(fingerprint(BOTS + forged), UnixSeconds(START)), Known::Unknown);
    }
    assert_eq!(site.table.stats(), created);
    assert_eq!(site.table.count(site.server.index(), UnixSeconds(START)), count);
}
