//! A parsed scrape: every sample by name and labels.

use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Metrics(Vec<Sample>);

#[derive(Clone, Debug)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

impl Metrics {
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(Sample::parse).collect())
    }

    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The sum of all samples with this name and at least these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matching = self.0.iter().filter(|sample| sample.name == name && sample.has(labels));
        matching.map(|sample| sample.value).sum()
    }
}

impl Sample {
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("not a sample: {line:?}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let pairs = labels.trim_end_matches('}').split("\",").filter_map(|pair| pair.split_once("=\""));
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect();
        Self { name: name.to_owned(), labels, value: value.parse().unwrap_or_else(|_| panic!("not a number: {line:?}")) }
    }

    pub fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(name, value)| self.labels.get(*name).is_some_and(|own| own == value))
    }
}
