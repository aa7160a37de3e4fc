//! What a gateway shows of our group at this moment, as a scrape would see it.

use super::body::Format;
use super::client::Client;
use super::grouping::GroupingKey;
use super::outcome::Reason;
use super::text::{self, Label, Sample, TextError};
use crate::metrics::{Samples, Series};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A gateway of a thousand groups shows some ten megabytes.
const MOST: usize = 64 << 20;

/// A group of ours has some hundreds, and a gateway some thousand groups.
const MOST_SERIES: usize = 100_000;

/// Every group has one: with it, groups are told apart whose labels contain each other's.
const PUSH_TIME: &str = "push_time_seconds";
const PUSH_FAILURE_TIME: &str = "push_failure_time_seconds";

/// What a gateway shows.
#[derive(Clone, Debug)]
pub enum Shown {
    /// The samples of our group without the labels that name it, and without the gateway's own.
    Group(Samples),
    /// A Pushgateway that has no such group.
    NoGroup,
    /// Something answers, but does not show groups: other receivers of pushes look like this.
    NotAPushgateway(Reason),
    /// Remote write is one way: it is not asked.
    WriteOnly,
    /// No answer that could be read.
    Unreachable(Reason),
}

impl Client {
    /// Asks `/metrics` once, with our credentials; `limit` spans everything.
    pub async fn shown(&self, limit: Duration) -> Shown {
        if self.gateway().format() == Format::RemoteWrite {
            return Shown::WriteOnly;
        }
        let bytes = match self.fetch("metrics", limit, MOST).await {
            Ok(bytes) => bytes,
            Err(reason @ Reason::Status { code: 204 | 400 | 404 | 405, .. }) => {
                return Shown::NotAPushgateway(reason);
            }
            Err(reason) => return Shown::Unreachable(reason),
        };
        Shown::read(self.gateway().grouping(), &bytes)
    }
}

/// A label without value is none.
type Labels = BTreeMap<String, String>;

fn labels(pairs: Vec<Label<'_>>) -> Labels {
    let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    pairs.map(|(name, value)| (name.to_owned(), value.into_owned())).collect()
}

impl Shown {
    /// What `/metrics` says of the group that `key` names. Of other groups' samples none is kept, however many.
    pub fn read(key: &GroupingKey, text: &[u8]) -> Self {
        match Group::of(key, text) {
            Ok(group) => group.shown(),
            Err(error) => Self::NotAPushgateway(Reason::Garbage { detail: error.to_string() }),
        }
    }
}

/// A group, as it is found in a text.
struct Group {
    /// The labels that name it.
    ours: Labels,
    /// Groups with more labels than ours; they have their samples to themselves.
    narrower: BTreeSet<Labels>,
    /// Whether this is a Pushgateway, and whether it has the group.
    known: bool,
    found: bool,
    samples: Samples,
    too_many: bool,
}

impl Group {
    fn of(key: &GroupingKey, text: &[u8]) -> Result<Self, TextError> {
        let job = std::iter::once(("job", key.job().into()));
        let others = key.labels().iter().map(|(name, value)| (name.as_str(), value.into()));
        let mut group = Self {
            ours: labels(job.chain(others).collect()),
            narrower: BTreeSet::new(),
            known: false,
            found: false,
            samples: Samples::new(),
            too_many: false,
        };
        // The gateway's own samples stand after those that they are needed for.
        text::parse(text, "push", |sample| group.take_own(sample))?;
        text::parse(text, "", |sample| group.take(sample))?;
        Ok(group)
    }

    fn take_own(&mut self, sample: Sample<'_>) {
        self.known |= sample.name == PUSH_TIME || sample.name == "pushgateway_build_info";
        if sample.name == PUSH_TIME && self.names(&sample) {
            let group = labels(sample.labels);
            self.found |= group == self.ours;
            if group.len() > self.ours.len() {
                self.too_many |= self.narrower.len() == MOST_SERIES;
                if !self.too_many {
                    self.narrower.insert(group);
                }
            }
        }
    }

    fn take(&mut self, sample: Sample<'_>) {
        if sample.name == PUSH_TIME || sample.name == PUSH_FAILURE_TIME || !self.names(&sample) {
            return;
        }
        let all = labels(sample.labels);
        if self.narrower.iter().any(|group| contains(&all, group)) {
            return;
        }
        self.found = true;
        self.too_many |= self.samples.len() == MOST_SERIES;
        if !self.too_many {
            let own = all.into_iter().filter(|(name, _)| !self.ours.contains_key(name));
            self.samples.insert(Series::new(sample.name, own), sample.value);
        }
    }

    /// Whether a sample has the labels that name our group.
    fn names(&self, sample: &Sample<'_>) -> bool {
        let has = |name: &str, value: &str| {
            sample.labels.iter().any(|(known, is)| *known == name && is == value)
        };
        self.ours.iter().all(|(name, value)| has(name, value))
    }

    fn shown(self) -> Shown {
        let garbage = |detail| Reason::Garbage { detail };
        if self.too_many {
            return Shown::Unreachable(garbage(format!(
                "more than {MOST_SERIES} series of a group"
            )));
        }
        match (self.found, self.known) {
            (true, _) => Shown::Group(self.samples),
            (false, true) => Shown::NoGroup,
            (false, false) => Shown::NotAPushgateway(garbage(
                "its /metrics are not those of a Pushgateway".to_owned(),
            )),
        }
    }
}

fn contains(all: &Labels, some: &Labels) -> bool {
    some.iter().all(|(name, value)| all.get(name) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
push_time_seconds{instance=\"a\",job=\"j\"} 1
push_failure_time_seconds{instance=\"a\",job=\"j\"} 0
push_time_seconds{instance=\"a\",job=\"j\",shard=\"1\"} 1
push_time_seconds{instance=\"\",job=\"other\"} 1
x{instance=\"a\",job=\"j\"} 1
x{instance=\"a\",job=\"j\",shard=\"1\"} 2
x{instance=\"\",job=\"other\"} 3
y{instance=\"a\",job=\"j\",status=\"ok\"} 4
h_bucket{instance=\"a\",job=\"j\",le=\"1e-06\"} 5
";

    fn of(job: &str, labels: &[(&str, &str)], text: &str) -> Shown {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = GroupingKey::new(job, &labels, &[]).unwrap();
        Shown::read(&key, text.as_bytes())
    }

    fn samples(shown: Shown) -> Vec<(String, f64)> {
        let Shown::Group(samples) = shown else { panic!("{shown:?}") };
        samples.into_iter().map(|(series, value)| (series.to_string(), value)).collect()
    }

    #[test]
    fn a_group_is_told_from_one_that_has_more_labels() {
        let expected = [("h_bucket{le=\"0.000001\"}", 5.0), ("x", 1.0), ("y{status=\"ok\"}", 4.0)];
        let expected = expected.map(|(series, value)| (series.to_owned(), value));
        assert_eq!(samples(of("j", &[("instance", "a")], TEXT)), expected);
        let narrow = of("j", &[("instance", "a"), ("shard", "1")], TEXT);
        assert_eq!(samples(narrow), [("x".to_owned(), 2.0)]);
    }

    #[test]
    fn a_group_without_an_instance_is_shown_with_an_empty_one() {
        assert_eq!(samples(of("other", &[], TEXT)), [("x".to_owned(), 3.0)]);
    }

    #[test]
    fn no_group_is_told_from_no_pushgateway() {
        assert!(matches!(of("none", &[], TEXT), Shown::NoGroup));
        assert!(matches!(of("none", &[], "up 1\n"), Shown::NotAPushgateway(_)));
        assert!(matches!(of("none", &[], "pushgateway_build_info 1\n"), Shown::NoGroup));
        // A group that was emptied is there.
        let emptied = "push_time_seconds{instance=\"\",job=\"j\"} 1\n";
        assert!(samples(of("j", &[], emptied)).is_empty());
    }

    #[test]
    fn a_group_without_end_is_not_kept() {
        let line = |number: usize| format!("x{{job=\"j\",l=\"{number}\"}} 1\n");
        let mut text: String = (0..MOST_SERIES).map(line).collect();
        assert_eq!(samples(of("j", &[], &text)).len(), MOST_SERIES);
        text += &line(MOST_SERIES);
        assert!(matches!(of("j", &[], &text), Shown::Unreachable(_)));
        let groups = text.replace("x{", "push_time_seconds{");
        assert!(matches!(of("j", &[], &groups), Shown::Unreachable(_)));
        assert!(matches!(of("other", &[], &groups), Shown::NoGroup));
    }
}
