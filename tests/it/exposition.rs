//! What was pushed, read with a reader of our own: the text format, strictly.

use std::collections::BTreeMap;

/// The samples of one push, by series.
#[derive(Clone, Debug)]
pub(crate) struct Exposition {
    samples: BTreeMap<String, f64>,
    types: BTreeMap<String, String>,
}

impl Exposition {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let text = str::from_utf8(body).unwrap();
        assert!(text.ends_with('\n'), "the last line is whole");
        let (mut samples, mut types) = (BTreeMap::new(), BTreeMap::new());
        for line in text.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                let before = types.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} has one TYPE");
            } else if !line.starts_with('#') {
                // No timestamp: the value is the last word.
                let (series, value) = line.rsplit_once(' ').unwrap();
                let known = types.keys().any(|name| series.starts_with(name.as_str()));
                assert!(known, "{series} comes after its TYPE");
                let before = samples.insert(series.to_owned(), value.parse().unwrap());
                assert!(before.is_none(), "{series} is there once");
            }
        }
        Self { samples, types }
    }

    /// The value of a series, written as in the text.
    pub(crate) fn get(&self, series: &str) -> f64 {
        self.find(series).unwrap_or_else(|| panic!("{series} is not there: {:#?}", self.samples))
    }

    pub(crate) fn find(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// A counter, as the whole number that it is.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::float_cmp,
        reason = "the assertion says that nothing is lost"
    )]
    pub(crate) fn count(&self, series: &str) -> u64 {
        let value = self.get(series);
        assert_eq!(value, (value as u64) as f64, "{series} is a whole number");
        value as u64
    }

    /// Batches that ended so.
    pub(crate) fn batches(&self, status: &str) -> u64 {
        self.count(&format!("mutation_batches_total{{status=\"{status}\"}}"))
    }

    /// Push attempts to a gateway that ended so.
    pub(crate) fn push_attempts(&self, gateway: &str, result: &str) -> u64 {
        self.count(&format!(
            "mutation_push_attempts_total{{gateway=\"{gateway}\",result=\"{result}\"}}"
        ))
    }

    /// Every series that must never fall: counters, and the parts of histograms.
    pub(crate) fn rising(&self) -> BTreeMap<&str, f64> {
        let rises = |series: &str| {
            let name = series.split('{').next().unwrap();
            let family = ["_bucket", "_count", "_sum"]
                .iter()
                .find_map(|end| name.strip_suffix(end))
                .filter(|family| self.types.get(*family).is_some_and(|kind| kind == "histogram"));
            family.is_some() || self.types.get(name).is_some_and(|kind| kind == "counter")
        };
        let all = self.samples.iter().map(|(series, value)| (series.as_str(), *value));
        all.filter(|(series, _)| rises(series)).collect()
    }

    /// The value of each series of a family.
    pub(crate) fn family(&self, name: &str) -> BTreeMap<&str, f64> {
        let of = format!("{name}{{");
        let all = self.samples.iter().map(|(series, value)| (series.as_str(), *value));
        all.filter(|(series, _)| series.starts_with(&of) || *series == name).collect()
    }

    pub(crate) fn types(&self) -> &BTreeMap<String, String> {
        &self.types
    }
}

/// Asserts that no counter fell from one push to the next. One that is 0 may go with its parameter.
pub(crate) fn assert_nothing_fell(pushes: &[Exposition]) {
    assert_nothing_fell_but("nothing", pushes);
}

/// The same for all families but one.
pub(crate) fn assert_nothing_fell_but(family: &str, pushes: &[Exposition]) {
    for (before, after) in pushes.iter().zip(&pushes[1..]) {
        for (series, value) in before.rising() {
            if series.split('{').next() == Some(family) {
                continue;
            }
            assert!(after.find(series).unwrap_or(0.0) >= value, "{series} fell from {value}");
        }
    }
}
