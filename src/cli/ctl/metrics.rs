//! Metrics for `top`: counters by name and label.

use std::collections::BTreeMap;

/// Counters of one scrape, by series.
#[derive(Debug, Default)]
pub struct Counters(BTreeMap<Series, f64>);

#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
}

impl Counters {
    /// Parses the Prometheus text format; skips lines that are not samples.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect())
    }

    /// The sum over the series with this name and these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.with(name, labels).map(|(_, value)| value).sum()
    }

    /// The same sum, grouped by another label.
    pub fn by(&self, name: &str, labels: &[(&str, &str)], label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (series, value) in self.with(name, labels) {
            if let Some(key) = series.labels.get(label) {
                *sums.entry(key.clone()).or_insert(0.0) += value;
            }
        }
        sums
    }

    fn with(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = (&Series, f64)> {
        let has =
            |series: &Series| labels.iter().all(|(name, value)| series.labels.get(*name).is_some_and(|own| own == value));
        // Series are in the order of their names.
        let from = Series { name: name.to_owned(), labels: BTreeMap::new() };
        let named = self.0.range(from..).take_while(move |(series, _)| series.name == name);
        named.filter(move |(series, _)| has(series)).map(|(series, value)| (series, *value))
    }
}

fn sample(line: &str) -> Option<(Series, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
    let labels = pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect();
    Some((Series { name: name.to_owned(), labels }, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_summed_by_label() {
        let text = "# HELP x y\nx_total{a=\"1\",b=\"p\"} 2\nx_total{a=\"1\",b=\"q\"} 3\nx_total{a=\"2\",b=\"q\"} 5\nup 1\n";
        let counters = Counters::parse(text);
        assert_eq!(counters.sum("x_total", &[("a", "1")]), 5.0);
        assert_eq!(counters.sum("up", &[]), 1.0);
        let by = counters.by("x_total", &[], "b");
        assert_eq!((by["p"], by["q"]), (2.0, 8.0));
    }
}
