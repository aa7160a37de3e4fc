//! What a gateway shows of our group at this moment, as a scrape would see it.

use super::client::Client;
use super::grouping::GroupingKey;
use super::outcome::Reason;
use super::text::{self, Sample};
use crate::metrics::{Samples, Series};
use std::collections::BTreeMap;
use std::time::Duration;

/// A gateway of a thousand groups shows some ten megabytes.
const MOST: usize = 64 << 20;

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
    /// No answer that could be read.
    Unreachable(Reason),
}

impl Client {
    /// Asks `/metrics` once, with our credentials; `limit` spans everything.
    pub async fn shown(&self, limit: Duration) -> Shown {
        let bytes = match self.fetch("metrics", limit, MOST).await {
            Ok(bytes) => bytes,
            Err(reason @ Reason::Status { code: 204 | 400 | 404 | 405, .. }) => {
                return Shown::NotAPushgateway(reason);
            }
            Err(reason) => return Shown::Unreachable(reason),
        };
        match text::parse(&bytes) {
            Ok(samples) => group(self.gateway().grouping(), samples),
            Err(error) => Shown::NotAPushgateway(Reason::Garbage { detail: error.to_string() }),
        }
    }
}

/// A label without value is none.
type Labels = BTreeMap<String, String>;

fn labels(pairs: impl IntoIterator<Item = (String, String)>) -> Labels {
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// Picks the samples of the group that `key` names.
fn group(key: &GroupingKey, samples: Vec<Sample>) -> Shown {
    let job = ("job".to_owned(), key.job().to_owned());
    let ours = labels(std::iter::once(job).chain(key.labels().iter().cloned()));
    let is_gateway = |name: &str| name == PUSH_TIME || name == "pushgateway_build_info";
    let known = samples.iter().any(|sample| is_gateway(&sample.name));
    let groups: Vec<Labels> = samples
        .iter()
        .filter(|sample| sample.name == PUSH_TIME)
        .map(|sample| labels(sample.labels.iter().cloned()))
        .collect();
    // A group with more labels than ours has its samples to itself.
    let narrower: Vec<&Labels> =
        groups.iter().filter(|group| group.len() > ours.len() && contains(group, &ours)).collect();
    let mut found = groups.contains(&ours);
    let mut shown = Samples::new();
    for Sample { name, labels: pairs, value } in samples {
        let all = labels(pairs);
        if !contains(&all, &ours) || narrower.iter().any(|group| contains(&all, group)) {
            continue;
        }
        if name != PUSH_TIME && name != PUSH_FAILURE_TIME {
            found = true;
            let own = all.into_iter().filter(|(name, _)| !ours.contains_key(name));
            shown.insert(Series::new(&name, own), value);
        }
    }
    match (found, known) {
        (true, _) => Shown::Group(shown),
        (false, true) => Shown::NoGroup,
        (false, false) => Shown::NotAPushgateway(Reason::Garbage {
            detail: "its /metrics are not those of a Pushgateway".to_owned(),
        }),
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
        group(&key, text::parse(text.as_bytes()).unwrap())
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
}
