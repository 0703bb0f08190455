//! The text of the servers' families, as the encoder of the other families would write it. Ten thousand servers have a hundred
//! thousand series, so a series is written straight from its values: nothing is collected, copied or sorted for it.

use burdock::balancer::Sessions;
use burdock::upstream::answer_counts::StatusClass;
use burdock::upstream::health::Condition;
use burdock::upstream::spec::Admin;

use super::families;
use super::families::ServerFamily;
use super::servers::{Gauges, ServerMeters, Tie};

/// The names of these families begin with this, and those of no other.
pub const PREFIX: &str = "burdock_server_";

/// A server's counters, and its gauges if they were ever taken.
pub type Row<'m> = (&'m ServerMeters, Option<Gauges>);

/// Appends all families, by name. `rows` are sorted by server and upstream, so the series of a family are sorted by the values of
/// their labels, in the order of the labels' names.
pub fn write(rows: &[Row<'_>], text: &mut String) {
    let conditions = sorted(Condition::ALL.map(|to| (to.as_str(), to)));
    let ties = sorted(Tie::ALL.map(|tie| (tie.as_str(), tie)));
    let classes = StatusClass::ALL.map(|class| (class.as_str(), class));
    let states = sorted(Admin::NAMES.map(|state| (state, state)));
    by_server(text, &families::SERVER_FAILURES, rows, |(meters, _)| Some(meters.failures()));
    by_word(text, &families::SERVER_HEALTH_CHANGES, rows, "to", &conditions, |(meters, _), to| meters.health_changes(to));
    by_server(text, &families::SERVER_IN_FLIGHT, rows, |(_, gauges)| Some(gauges?.in_flight.into()));
    by_server(text, &families::SERVER_QUEUE, rows, |(_, gauges)| gauges?.queue.map(u64::from));
    by_word(text, &families::SERVER_REQUESTS, rows, "tie", &ties, |(meters, _), tie| Some(meters.requests(tie)));
    by_word(text, &families::SERVER_RESPONSES, rows, "status", &classes, |(_, gauges), class| {
        Some(gauges?.answers[class as usize])
    });
    sessions(text, rows);
    by_word(text, &families::SERVER_STATE, rows, "state", &states, |(_, gauges), state| {
        (gauges?.state == state).then_some(1)
    });
    by_server(text, &families::SERVER_UP, rows, |(_, gauges)| Some(gauges?.up.into()));
    by_server(text, &families::SERVER_WEIGHT, rows, |(_, gauges)| Some(gauges?.weight.into()));
}

fn sorted<const N: usize, W>(mut words: [(&'static str, W); N]) -> [(&'static str, W); N] {
    words.sort_unstable_by_key(|(word, _)| *word);
    words
}

/// A family whose series have the labels `server` and `upstream`.
fn by_server(text: &mut String, family: &ServerFamily, rows: &[Row<'_>], value: impl Fn(Row<'_>) -> Option<u64>) {
    let mut series = Series::new(text, family);
    for &row in rows {
        if let Some(value) = value(row) {
            series.push(&[("server", row.0.id.as_str()), ("upstream", row.0.upstream.as_str())], value);
        }
    }
}

/// A family with one more label, whose name comes between the two in the alphabet.
fn by_word<W: Copy>(
    text: &mut String,
    family: &ServerFamily,
    rows: &[Row<'_>],
    label: &str,
    words: &[(&'static str, W)],
    value: impl Fn(Row<'_>, W) -> Option<u64>,
) {
    let mut series = Series::new(text, family);
    for of_one_id in rows.chunk_by(|(a, _), (b, _)| a.id == b.id) {
        for &(word, what) in words {
            for &row in of_one_id {
                if let Some(value) = value(row, what) {
                    let labels = [("server", row.0.id.as_str()), (label, word), ("upstream", row.0.upstream.as_str())];
                    series.push(&labels, value);
                }
            }
        }
    }
}

/// The one family whose third label comes before the two.
fn sessions(text: &mut String, rows: &[Row<'_>]) {
    let mut series = Series::new(text, &families::SERVER_SESSIONS);
    kept(&mut series, rows, "table", |sessions| sessions.learned);
    kept(&mut series, rows, "token", |sessions| sessions.by_token);
}

fn kept(series: &mut Series<'_>, rows: &[Row<'_>], kept: &str, count: impl Fn(Sessions) -> Option<u64>) {
    for (meters, gauges) in rows {
        if let Some(count) = gauges.and_then(|gauges| count(gauges.sessions)) {
            series.push(&[("kept", kept), ("server", meters.id.as_str()), ("upstream", meters.upstream.as_str())], count);
        }
    }
}

/// The series of one family. The head of a family is written with its first series: a family without series has no text.
struct Series<'t> {
    text: &'t mut String,
    family: &'t ServerFamily,
    head: Head,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Head {
    Due,
    Written,
}

impl<'t> Series<'t> {
    fn new(text: &'t mut String, family: &'t ServerFamily) -> Self {
        Self { text, family, head: Head::Due }
    }

    /// No value needs escaping: ids and names have no quotation mark, backslash or line break.
    fn push(&mut self, labels: &[(&str, &str)], value: u64) {
        if self.head == Head::Due {
            self.push_head();
        }
        self.push_name();
        let mut separator = "{";
        for (name, value) in labels {
            for part in [separator, name, "=\"", value, "\""] {
                self.text.push_str(part);
            }
            separator = ",";
        }
        self.text.push_str("} ");
        self.text.push_str(itoa::Buffer::new().format(value));
        self.text.push('\n');
    }

    fn push_head(&mut self) {
        let ServerFamily { name, help, kind } = self.family;
        for part in ["# HELP burdock_", name, " ", help, "\n# TYPE burdock_", name, " ", kind.as_str(), "\n"] {
            self.text.push_str(part);
        }
        self.head = Head::Written;
    }

    fn push_name(&mut self) {
        self.text.push_str("burdock_");
        self.text.push_str(self.family.name);
    }
}

#[cfg(test)]
mod tests {
    use burdock::balancer::reason::TieOutcome;
    use burdock::ids::{ServerId, UpstreamName};
    use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    use super::super::servers::ServerSeries;
    use super::*;

    /// The same families in the registry of the crate that writes the other families.
    struct Model(Registry);

    impl Model {
        fn counter(&self, family: &ServerFamily, labels: &[&str]) -> IntCounterVec {
            let vec = IntCounterVec::new(Opts::new(family.name, family.help).namespace("burdock"), labels).unwrap();
            self.0.register(Box::new(vec.clone())).unwrap();
            vec
        }

        fn gauge(&self, family: &ServerFamily, labels: &[&str]) -> IntGaugeVec {
            let vec = IntGaugeVec::new(Opts::new(family.name, family.help).namespace("burdock"), labels).unwrap();
            self.0.register(Box::new(vec.clone())).unwrap();
            vec
        }

        fn of(rows: &[Row<'_>]) -> String {
            let model = Self(Registry::new());
            model.count(rows);
            model.take(rows);
            TextEncoder::new().encode_to_string(&model.0.gather()).unwrap()
        }

        fn count(&self, rows: &[Row<'_>]) {
            let failures = self.counter(&families::SERVER_FAILURES, &["upstream", "server"]);
            let requests = self.counter(&families::SERVER_REQUESTS, &["upstream", "server", "tie"]);
            let changes = self.counter(&families::SERVER_HEALTH_CHANGES, &["upstream", "server", "to"]);
            for (meters, _) in rows {
                let (upstream, server) = (meters.upstream.as_str(), meters.id.as_str());
                failures.with_label_values(&[upstream, server]).inc_by(meters.failures());
                for tie in Tie::ALL {
                    requests.with_label_values(&[upstream, server, tie.as_str()]).inc_by(meters.requests(tie));
                }
                for to in Condition::ALL {
                    if let Some(count) = meters.health_changes(to) {
                        changes.with_label_values(&[upstream, server, to.as_str()]).inc_by(count);
                    }
                }
            }
        }

        fn take(&self, rows: &[Row<'_>]) {
            let gauge = |family| self.gauge(family, &["upstream", "server"]);
            let (up, in_flight) = (gauge(&families::SERVER_UP), gauge(&families::SERVER_IN_FLIGHT));
            let (weight, queue) = (gauge(&families::SERVER_WEIGHT), gauge(&families::SERVER_QUEUE));
            let answers = self.counter(&families::SERVER_RESPONSES, &["upstream", "server", "status"]);
            let state = self.gauge(&families::SERVER_STATE, &["upstream", "server", "state"]);
            let sessions = self.gauge(&families::SERVER_SESSIONS, &["upstream", "server", "kept"]);
            for (meters, gauges) in rows {
                let Some(gauges) = gauges else { continue };
                let labels = [meters.upstream.as_str(), meters.id.as_str()];
                up.with_label_values(&labels).set(gauges.up.into());
                in_flight.with_label_values(&labels).set(gauges.in_flight.into());
                weight.with_label_values(&labels).set(gauges.weight.into());
                gauges.queue.inspect(|&waiting| queue.with_label_values(&labels).set(waiting.into()));
                for (class, count) in StatusClass::ALL.into_iter().zip(gauges.answers) {
                    answers.with_label_values(&[labels[0], labels[1], class.as_str()]).inc_by(count);
                }
                state.with_label_values(&[labels[0], labels[1], gauges.state]).set(1);
                let kept = [("table", gauges.sessions.learned), ("token", gauges.sessions.by_token)];
                for (kept, count) in kept.into_iter().filter_map(|(kept, count)| Some((kept, count?))) {
                    sessions.with_label_values(&[labels[0], labels[1], kept]).set(count.try_into().unwrap());
                }
            }
        }
    }

    fn gauges(random: &mut StdRng) -> Gauges {
        let mut number = || random.random_range(0..4_u32);
        let some = |number: u32| (number > 0).then_some(number);
        Gauges {
            up: number() > 0,
            in_flight: number(),
            weight: number() * 64,
            queue: some(number()),
            answers: [number(), number(), 0, number(), 7].map(u64::from),
            state: Admin::NAMES[number() as usize],
            sessions: Sessions {
                learned: some(number()).map(u64::from),
                by_token: some(number()).map(|count| u64::from(count) << 40),
            },
        }
    }

    fn count(meters: &ServerMeters, random: &mut StdRng) {
        for outcome in [TieOutcome::Kept, TieOutcome::New, TieOutcome::Moved, TieOutcome::Detour] {
            (0..random.random_range(0..4)).for_each(|_| meters.answered(outcome));
        }
        for to in Condition::ALL {
            (0..random.random_range(0..2)).for_each(|_| meters.health_changed(to));
        }
        (0..random.random_range(0..3)).for_each(|_| meters.failed());
    }

    #[test]
    fn series_of_servers_are_written_as_the_encoder_writes_them() {
        for seed in 0..200 {
            let mut random = StdRng::seed_from_u64(seed);
            let series = ServerSeries::default();
            for _ in 0..random.next_u32() % 12 {
                let name = |words: &[&str], random: &mut StdRng| words[random.random_range(0..words.len())].to_owned();
                let upstream = UpstreamName::parse(&name(&["shop", "Shop", "a.b", "a-b", "a"], &mut random)).unwrap();
                let id = ServerId::parse(&name(&["a", "a.b", "a{}=", "B", "[::1]:80", "10.0.0.1:80"], &mut random)).unwrap();
                count(&series.of(&upstream, [&id])[0], &mut random);
            }
            let all = series.all();
            let rows: Vec<Row<'_>> =
                all.iter().map(|meters| (&**meters, random.random_bool(0.8).then(|| gauges(&mut random)))).collect();
            let mut text = String::new();
            write(&rows, &mut text);
            assert_eq!(text, Model::of(&rows), "seed {seed}");
        }
    }
}
