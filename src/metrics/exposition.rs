//! What Prometheus sees: all families over the totals, through the prometheus crate's types and encoders.

use super::families as f;
use super::{Family, FamilyKind, Histogram, ParameterTally, PushResult, Range, Status, Totals};
use crate::mutation::Operator;
use crate::record::Outcome;
use crate::units::Timestamp;
use prometheus::proto::{self, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Version and git revision of the agent.
#[derive(Clone, Copy, Debug)]
pub struct BuildInfo {
    /// `CARGO_PKG_VERSION`.
    pub version: &'static str,
    /// Abbreviated commit, or `unknown`.
    pub revision: &'static str,
}

impl BuildInfo {
    /// Of this build.
    pub const CURRENT: Self = Self {
        version: env!("CARGO_PKG_VERSION"),
        revision: match option_env!("MUTATION_AGENT_REVISION") {
            Some(revision) => revision,
            None => "unknown",
        },
    };
}

/// What outcomes are counted by. The order is that of the exposition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OutcomeSeries {
    /// The parameter's name.
    pub parameter: String,
    /// How its values are proposed.
    pub operator: Operator,
    /// The variant's name; without one there is no such label.
    pub variant: Option<String>,
}

/// A view of totals as metric families, without timestamps.
///
/// Series that the config makes possible are there with 0 before they happen: `increase()` over a
/// series that appears with its first event misses that event.
#[derive(Clone, Debug)]
pub struct Exposition<'a> {
    totals: &'a Totals,
    series: BTreeSet<OutcomeSeries>,
    gateways: BTreeSet<String>,
}

impl<'a> Exposition<'a> {
    /// Shows `totals`.
    pub const fn new(totals: &'a Totals) -> Self {
        Self { totals, series: BTreeSet::new(), gateways: BTreeSet::new() }
    }

    /// Also shows the configured parameters with their operators and variants, and gateways, of which nothing is known yet.
    #[must_use]
    pub fn with_configured(
        mut self,
        series: impl IntoIterator<Item = OutcomeSeries>,
        gateways: impl IntoIterator<Item = String>,
    ) -> Self {
        self.series.extend(series);
        self.gateways.extend(gateways);
        self
    }

    /// All families that have samples, sorted by name and labels: as a registry gathers them, which would first
    /// check, hash and copy, each time, what a test holds once.
    pub fn gather(&self) -> Vec<MetricFamily> {
        let mut families = self.collect();
        families.retain(|family| !family.get_metric().is_empty());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        for family in &mut families {
            family.mut_metric().sort_by(|one, other| in_order(one.get_label(), other.get_label()));
        }
        families
    }

    fn outcomes(&self) -> Vec<Metric> {
        let parameters = self.totals.tally().parameters();
        let configured = self.series.iter();
        let configured =
            configured.map(|one| (&*one.parameter, one.operator, one.variant.as_deref()));
        let counted = parameters.iter().flat_map(|(name, tally)| {
            tally.series().map(|(variant, operator, _)| (name.as_str(), operator, variant))
        });
        let series: BTreeSet<_> = configured.chain(counted).collect();
        let rows = series.into_iter().flat_map(|(parameter, operator, variant)| {
            let tally = parameters.get(parameter);
            Outcome::ALL.into_iter().filter_map(move |outcome| {
                let mut labels = vec![parameter, operator.as_str(), outcome.as_str()];
                labels.extend(variant);
                let count = tally.map_or(0, |tally| tally.count(variant, operator, outcome));
                // Only an ingested log has it: nobody else is to pay for series of it.
                let is_told = count > 0 || outcome != Outcome::Failed;
                is_told.then(|| counter(&f::OUTCOMES, &labels, count))
            })
        });
        rows.collect()
    }

    /// A counter of each parameter's values.
    fn values(&self, of: &Family, count: fn(&ParameterTally) -> u64) -> MetricFamily {
        let parameters = self.totals.tally().parameters();
        let names: BTreeSet<&String> =
            self.series.iter().map(|one| &one.parameter).chain(parameters.keys()).collect();
        let count = |name| parameters.get(name).map_or(0, count);
        family(of, names.into_iter().map(|name| counter(of, &[name], count(name))).collect())
    }

    fn pushes(&self) -> Vec<Metric> {
        let known = self.totals.pushed_gateways();
        let names: BTreeSet<&str> = self.gateways.iter().map(String::as_str).chain(known).collect();
        let rows = names.into_iter().flat_map(|name| {
            PushResult::ALL.map(|result| {
                counter(&f::PUSHES, &[name, result.as_str()], self.totals.pushes(name, result))
            })
        });
        rows.collect()
    }

    fn search(&self) -> [MetricFamily; 4] {
        let search = self.totals.last().and_then(|last| last.search.as_ref());
        let less_is_better = search.is_some_and(|search| search.less_is_better);
        let best = self.totals.tally().best_fitness().iter().map(|(name, seen)| {
            let best = if less_is_better { seen.least } else { seen.greatest };
            gauge(&f::BEST_FITNESS, &[name], best)
        });
        let strategies = || search.iter().flat_map(|search| &search.strategies);
        let baselines =
            strategies().map(|(name, one)| gauge(&f::BASELINE_FITNESS, &[name], one.baseline));
        let champions =
            strategies().map(|(name, one)| gauge(&f::CHAMPION_FITNESS, &[name], one.champion));
        let sigmas = strategies().flat_map(|(name, one)| {
            let sigmas = one.sigmas.iter();
            sigmas.map(move |(parameter, sigma)| gauge(&f::SIGMA, &[name, parameter], *sigma))
        });
        [
            family(&f::BEST_FITNESS, best.collect()),
            family(&f::BASELINE_FITNESS, baselines.collect()),
            family(&f::CHAMPION_FITNESS, champions.collect()),
            family(&f::SIGMA, sigmas.collect()),
        ]
    }

    fn baseline(&self) -> [MetricFamily; 3] {
        let usual = self.totals.baseline();
        let bounds = |of: &Family, range: Option<Range>| {
            let named = |Range { lower, median, upper }| {
                [("lower", lower), ("median", median), ("upper", upper)]
            };
            let rows = range.into_iter().flat_map(named);
            family(of, rows.map(|(bound, value)| gauge(of, &[bound], value)).collect())
        };
        let batches = usual.map_or(0, |usual| usual.batches);
        [
            bounds(&f::BASELINE_RATE, usual.map(|usual| usual.success_rate)),
            bounds(&f::BASELINE_P95, usual.and_then(|usual| usual.duration_p95)),
            family(&f::BASELINE_BATCHES, vec![gauge(&f::BASELINE_BATCHES, &[], batches as f64)]),
        ]
    }

    fn last_batch(&self) -> Vec<MetricFamily> {
        let Some(last) = self.totals.last() else {
            return vec![
                family(&f::SUCCESS_RATE, vec![gauge(&f::SUCCESS_RATE, &[], f64::NAN)]),
                family(&f::DURATION_P95, vec![gauge(&f::DURATION_P95, &[], f64::NAN)]),
                family(&f::IN_PROGRESS, vec![gauge(&f::IN_PROGRESS, &[], 0.0)]),
            ];
        };
        let running = last.status == Status::Running;
        let targets = last.targets.iter();
        let one = |of: &Family, value: f64| family(of, vec![gauge(of, &[], value)]);
        let maybe = |of: &Family, value: Option<f64>| {
            family(of, value.map(|value| gauge(of, &[], value)).into_iter().collect())
        };
        vec![
            one(&f::SUCCESS_RATE, last.success_rate()),
            one(&f::DURATION_P95, last.duration_p95.unwrap_or(f64::NAN)),
            one(&f::LAST_START, last.started.to_f64()),
            maybe(&f::LAST_DURATION, last.duration_seconds),
            maybe(&f::LAST_EXIT_CODE, last.exit_code.map(f64::from)),
            one(&f::IN_PROGRESS, if running { 1.0 } else { 0.0 }),
            one(&f::ROUNDS, f64::from(last.rounds_completed)),
            family(
                &f::TARGETS,
                targets.map(|(state, n)| gauge(&f::TARGETS, &[state], *n as f64)).collect(),
            ),
        ]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let tally = self.totals.tally();
        let single = |of: &Family, value| family(of, vec![counter(of, &[], value)]);
        let maybe = |of: &Family, value: Option<f64>| {
            family(of, value.map(|value| gauge(of, &[], value)).into_iter().collect())
        };
        let batches = Status::ENDED.iter();
        let BuildInfo { version, revision } = BuildInfo::CURRENT;
        let mut families = vec![
            single(&f::MUTATIONS, tally.attempts()),
            single(&f::SUCCESSES, tally.successes()),
            family(&f::DURATION, vec![histogram(tally.duration_histogram())]),
            family(&f::OUTCOMES, self.outcomes()),
            self.values(&f::CLAMPED, |one| one.clamped),
            self.values(&f::DRAWS, ParameterTally::draws),
            family(&f::EVALUATION, vec![histogram(tally.evaluation_histogram())]),
            maybe(&f::LAST_COMPLETION, self.totals.last_completion().map(Timestamp::to_f64)),
            maybe(&f::LAST_SUCCESS, self.totals.last_success().map(Timestamp::to_f64)),
            family(
                &f::BATCHES,
                batches
                    .map(|status| {
                        counter(&f::BATCHES, &[status.as_str()], self.totals.batches(*status))
                    })
                    .collect(),
            ),
            single(&f::RECORDS, tally.attempts()),
            family(&f::PUSHES, self.pushes()),
            family(&f::BUILD_INFO, vec![gauge(&f::BUILD_INFO, &[version, revision], 1.0)]),
        ];
        families.extend(self.last_batch());
        families.extend(self.search());
        families.extend(self.baseline());
        families
    }
}

/// The text exposition format, version 0.0.4. An error only for a family without metrics, which
/// [`Exposition::gather`] never gives.
pub fn encode_text(families: &[MetricFamily]) -> prometheus::Result<Vec<u8>> {
    let mut body = Vec::with_capacity(16 * 1024);
    TextEncoder::new().encode(families, &mut body)?;
    Ok(body)
}

/// Samples with fewer labels first, then by the labels' values.
fn in_order(one: &[LabelPair], other: &[LabelPair]) -> Ordering {
    let values = one.iter().map(LabelPair::value).cmp(other.iter().map(LabelPair::value));
    one.len().cmp(&other.len()).then(values)
}

fn family(of: &Family, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(of.name.to_owned());
    family.set_help(of.help.to_owned());
    family.set_field_type(match of.kind {
        FamilyKind::Counter => MetricType::COUNTER,
        FamilyKind::Gauge => MetricType::GAUGE,
        FamilyKind::Histogram => MetricType::HISTOGRAM,
    });
    family.set_metric(metrics);
    family
}

/// The values in the order of the family's labels; those that are left out at the end have no label.
fn labelled(of: &Family, values: &[&str]) -> Metric {
    let pairs = of.labels.iter().zip(values).map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    Metric::from_label(pairs.collect())
}

fn counter(of: &Family, labels: &[&str], value: u64) -> Metric {
    let mut counter = proto::Counter::default();
    counter.set_value(value as f64);
    let mut metric = labelled(of, labels);
    metric.set_counter(counter);
    metric
}

fn gauge(of: &Family, labels: &[&str], value: f64) -> Metric {
    let mut gauge = proto::Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(of, labels);
    metric.set_gauge(gauge);
    metric
}

/// Without an explicit `+Inf`: the text encoder adds it, and a gateway makes it from the count.
fn histogram(from: &Histogram) -> Metric {
    let buckets = from.cumulative().map(|(bound, count)| {
        let mut bucket = proto::Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(count);
        bucket
    });
    let mut histogram = proto::Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(from.count());
    histogram.set_sample_sum(from.sum_seconds());
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{BatchSummary, Buckets, SearchSummary, StrategySearch};
    use crate::metrics::{Tally, tally::tests::record};
    use prometheus::Registry;
    use prometheus::core::{Collector, Desc};
    use std::collections::{BTreeMap, HashMap};

    fn summary(status: Status, ended: i64) -> BatchSummary {
        let mut tally = Tally::new(Buckets::default());
        tally.add(&record(Outcome::Success, 2_000));
        tally.add(&record(Outcome::NoChange, 20_000_000_000));
        BatchSummary {
            batch_id: "20261123T020000Z-7f3a9c".parse().unwrap(),
            status,
            started: Timestamp::from_micros(1_000_000),
            ended: Some(Timestamp::from_micros(ended)),
            duration_seconds: Some(1.5),
            exit_code: Some(0),
            rounds_completed: 1,
            targets: BTreeMap::from([("usable".to_owned(), 3)]),
            search: Some(SearchSummary {
                less_is_better: false,
                strategies: BTreeMap::from([(
                    "a.py".to_owned(),
                    StrategySearch {
                        baseline: 1.0,
                        champion: 2.0,
                        sigmas: BTreeMap::from([("stop_loss_pct".to_owned(), 0.15)]),
                    },
                )]),
            }),
            ingest: None,
            tally,
        }
    }

    fn series(parameter: &str, variant: Option<&str>) -> OutcomeSeries {
        let variant = variant.map(str::to_owned);
        OutcomeSeries { parameter: parameter.to_owned(), operator: Operator::Uniform, variant }
    }

    fn text(totals: &Totals) -> String {
        String::from_utf8(encode_text(&Exposition::new(totals).gather()).unwrap()).unwrap()
    }

    fn some_nights() -> Totals {
        let mut totals = Totals::new(Buckets::default());
        for second in 2..10 {
            totals.fold(&summary(Status::Completed, second * 1_000_000));
        }
        totals.count_pushes("g", &BTreeMap::from([(PushResult::Failed, 2)]));
        totals
    }

    #[test]
    fn every_family_is_shown_after_a_batch() {
        let shown = Exposition::new(&some_nights()).gather();
        let shown: BTreeSet<&str> = shown.iter().map(MetricFamily::name).collect();
        assert_eq!(shown, f::FAMILIES.iter().map(|family| family.name).collect());
    }

    /// What a registry is given.
    struct Unsorted(Vec<MetricFamily>, Vec<Desc>);

    impl Collector for Unsorted {
        fn desc(&self) -> Vec<&Desc> {
            self.1.iter().collect()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            self.0.clone()
        }
    }

    #[test]
    fn a_registry_takes_the_families_and_gathers_them_in_the_same_order() {
        let totals = some_nights();
        let more = [series("b", Some("wide")), series("b", None), series("a", Some("wide"))];
        let shown = Exposition::new(&totals).with_configured(more, ["a".to_owned()]);
        let describe = |family: &Family| {
            let labels = family.labels.iter().map(ToString::to_string).collect();
            Desc::new(family.name.into(), family.help.into(), labels, HashMap::new()).unwrap()
        };
        let descriptions = f::FAMILIES.iter().map(describe).collect();
        let registry = Registry::new();
        registry.register(Box::new(Unsorted(shown.collect(), descriptions))).unwrap();
        let gathered = registry.gather();
        assert_eq!(shown.gather(), gathered);
        assert_ne!(shown.collect(), gathered, "it had to be sorted");
    }

    #[test]
    fn the_histogram_is_cumulative_and_ends_in_inf() {
        let mut totals = Totals::new(Buckets::default());
        totals.fold(&summary(Status::Completed, 2_000_000));
        let text = text(&totals);
        for line in [
            "exit_mutation_duration_seconds_bucket{le=\"0.000001\"} 0",
            "exit_mutation_duration_seconds_bucket{le=\"0.0000025\"} 1",
            "exit_mutation_duration_seconds_bucket{le=\"10\"} 1",
            "exit_mutation_duration_seconds_bucket{le=\"+Inf\"} 2",
            "exit_mutation_duration_seconds_count 2",
            "exit_mutation_duration_seconds_sum 20.000002",
            "exit_mutation_outcomes_total{operator=\"lognormal\",outcome=\"no_change\",parameter=\"stop_loss_pct\"} 1",
        ] {
            let sorted = |line: &str| {
                let mut parts: Vec<_> = line.split(['{', '}', ',']).map(str::to_owned).collect();
                parts.sort();
                parts
            };
            assert!(text.lines().any(|shown| sorted(shown) == sorted(line)), "{line}\n{text}");
        }
    }

    #[test]
    fn last_success_survives_a_failed_batch_and_never_goes_back() {
        let mut totals = Totals::new(Buckets::default());
        totals.fold(&summary(Status::Completed, 9_000_000));
        totals.fold(&summary(Status::Failed, 10_000_000));
        totals.fold(&summary(Status::Completed, 5_000_000));
        assert_eq!(totals.last_success(), Some(Timestamp::from_micros(9_000_000)));
        // The completion is the last one, by the clock as it was then.
        assert_eq!(totals.last_completion(), Some(Timestamp::from_micros(5_000_000)));
    }

    #[test]
    fn nothing_has_happened_yet_is_shown_as_zeros_and_nan() {
        let totals = Totals::new(Buckets::default());
        let shown = Exposition::new(&totals)
            .with_configured([series("a", None), series("a", Some("wide"))], ["g".to_owned()]);
        let text = String::from_utf8(encode_text(&shown.gather()).unwrap()).unwrap();
        assert!(text.contains("exit_mutation_success_rate NaN\n"), "{text}");
        assert!(text.contains("exit_mutations_total 0\n"), "{text}");
        assert_eq!(
            text.matches("exit_mutation_outcomes_total{").count(),
            2 * (Outcome::ALL.len() - 1)
        );
        assert_eq!(text.matches("variant=\"wide\"} 0\n").count(), Outcome::ALL.len() - 1, "{text}");
        assert!(!text.contains("variant=\"\""), "{text}");
        assert!(text.contains("exit_mutations_clamped_total{parameter=\"a\"} 0\n"), "{text}");
        assert!(text.contains("exit_mutation_draws_total{parameter=\"a\"} 0\n"), "{text}");
        assert_eq!(text.matches("mutation_push_attempts_total{").count(), 3);
        assert!(!text.contains("last_success"), "{text}");
    }
}
