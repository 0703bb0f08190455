//! Floods: names that nobody made, and names that the application makes for anybody who asks.

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
/// Seconds between two requests of a person, on average.
const PACE: u64 = 30;

/// People who come back at their pace, each since some time; one in a hundred visits ends, and somebody new comes.
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
        // A minute without a flood, in which most come back.
        (0..60).for_each(|second| site.second(START + second));
        (site.kept, site.lost) = (0, 0);
        site
    }

    fn tie(&self, session: u64, budget: Budget, now: u32) {
        self.table.tie(fingerprint(session), &self.server, budget, UnixSeconds(now));
    }

    /// The people's requests within a second.
    fn second(&mut self, now: u32) {
        for _ in 0..PEOPLE / PACE {
            let person = self.chance.below(PEOPLE) as usize;
            if self.chance.below(100) == 0 {
                self.people[person] = self.newcomer;
                let budget = self.spend(person_address(self.newcomer), now);
                self.tie(self.newcomer, budget, now);
                self.newcomer += 1;
            } else {
                self.come_back(self.people[person], now);
            }
        }
    }

    /// Where the tie is lost the application makes a new session, and another time it is kept again.
    fn come_back(&mut self, session: u64, now: u32) {
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

    /// 1,000,000 sessions are created for bots while people go on as always.
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

    /// Of the people there now, how many have their tie.
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
fn sessions_made_for_bots_in_ten_minutes_push_no_living_session_out() {
    let mut site = Site::new();
    site.flood(600, |_, _, _| Budget::Within);
    assert!(site.kept > 500_000, "{}", site.kept);
    assert!(site.share_kept() >= 0.99, "{}", site.share_kept());
    assert!(site.held(START + 660) >= 0.99, "{}", site.held(START + 660));
}

#[test]
fn sessions_made_for_bots_of_a_few_networks_in_one_minute_push_no_living_session_out() {
    let mut site = Site::new();
    site.flood(60, |site, bot, now| site.spend(bot_address(bot), now));
    assert!(site.share_kept() >= 0.99, "{}", site.share_kept());
    assert!(site.held(START + 120) >= 0.99, "{}", site.held(START + 120));
    let [over_budget, new, established] = site.table.stats().evicted;
    assert!(over_budget > 800_000 && new + established < 1_000, "{over_budget} {new} {established}");
}

#[test]
fn names_that_nobody_made_create_nothing() {
    let site = Site::new();
    let created = site.table.stats();
    let count = site.table.count(site.server.index(), UnixSeconds(START));
    for forged in 0..steps(10_000_000) {
        assert_eq!(site.table.look(fingerprint(BOTS + forged), UnixSeconds(START)), Known::Unknown);
    }
    assert_eq!(site.table.stats(), created);
    assert_eq!(site.table.count(site.server.index(), UnixSeconds(START)), count);
}
