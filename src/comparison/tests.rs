//! Laws of a comparison, and how often its intervals are right.

use super::*;
use crate::record::tests::sample;
use crate::record::{Millis, Outcome, Record};
use crate::units::{BatchId, Timestamp};
use chacha20::ChaCha8Rng;
use proptest::prelude::*;
use rand::SeedableRng as _;
use std::borrow::Cow;

/// Success, nanoseconds, fitness, and which of three nights.
type Attempt = (bool, u64, Option<f64>, u32);

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    // Few distinct values as often as many: ties are half of what can go wrong.
    let nanos = prop_oneof![0_u64..5, any::<u64>()];
    let fitness = prop_oneof![(-2_i32..3).prop_map(f64::from), -1e9..1e9];
    prop::collection::vec((any::<bool>(), nanos, prop::option::of(fitness), 0_u32..3), 1..60)
}

fn set(attempts: &[Attempt]) -> Set {
    let mut set = Set::default();
    for (success, nanos, fitness, night) in attempts {
        let id: BatchId = format!("2026112{night}T020000Z-000000").parse().unwrap();
        let outcome = if *success { Outcome::Success } else { Outcome::EvaluatorFailed };
        let duration = Some(Millis::from_nanos(*nanos));
        let record = Record { outcome, duration, fitness: *fitness, ..sample(Cow::Owned(id)) };
        set.add(&record);
    }
    set
}

fn compared(a: &[Attempt], b: &[Attempt]) -> Comparison {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let labels = Labels { a: "a", b: "b" };
    Comparison::of((&set(a), &set(b)), labels, None, 0.95, &mut rng)
}

fn record_of<'a>(variant: &'a str, time: &str) -> Record<'a> {
    let id: BatchId = "20261123T020000Z-7f3a9c".parse().unwrap();
    let timestamp: Timestamp = time.parse().unwrap();
    Record { variant: Some(variant.into()), timestamp, ..sample(Cow::Owned(id)) }
}

fn now() -> Timestamp {
    "2026-11-25T07:00:00Z".parse().unwrap()
}

proptest! {
    // A comparison draws forty thousand resamples.
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn swapped_sets_differ_by_the_negative(a in attempts(), b in attempts()) {
        let (one, other) = (compared(&a, &b), compared(&b, &a));
        let near = |x: f64, y: f64| (x - y).abs() <= 1e-12;
        prop_assert!(near(one.success_rate.difference, -other.success_rate.difference));
        prop_assert!(near(one.success_rate.interval.0, -other.success_rate.interval.1));
        for (one, other) in [(one.duration_seconds, other.duration_seconds), (one.fitness, other.fitness)] {
            prop_assert_eq!(one.is_some(), other.is_some());
            if let (Some(one), Some(other)) = (one, other) {
                prop_assert!(near(one.cliffs_delta, -other.cliffs_delta));
                prop_assert!((one.p_value - other.p_value).abs() <= 1e-9);
                prop_assert!(near(one.median_difference, -other.median_difference));
            }
        }
    }

    #[test]
    fn the_order_of_records_changes_nothing(a in attempts(), b in attempts()) {
        let (mut turned, mut sorted) = (a.clone(), b.clone());
        turned.reverse();
        sorted.sort_by_key(|one| one.1);
        prop_assert_eq!(compared(&a, &b), compared(&turned, &sorted));
    }

    #[test]
    fn intervals_hold_their_estimate_and_p_is_a_probability(a in attempts(), b in attempts()) {
        let found = compared(&a, &b);
        let holds = |interval: Interval, value: f64| interval.0 <= value && value <= interval.1;
        for one in [&found.a, &found.b] {
            prop_assert!(holds(one.success_rate_interval, one.success_rate));
            prop_assert!(holds(Interval(0.0, 1.0), one.success_rate_interval.0));
            prop_assert!(holds(Interval(0.0, 1.0), one.success_rate_interval.1));
        }
        let rates = &found.success_rate;
        prop_assert!(holds(rates.interval, rates.difference), "{:?}", rates);
        prop_assert_eq!(rates.needed.is_none(), found.verdict != Verdict::Undecided);
        for ranks in [found.duration_seconds, found.fitness].into_iter().flatten() {
            prop_assert!(holds(Interval(0.0, 1.0), ranks.p_value), "{:?}", ranks);
            prop_assert!(holds(Interval(-1.0, 1.0), ranks.cliffs_delta));
            prop_assert!(ranks.median_difference_interval.is_none_or(|one| one.0 <= one.1));
        }
    }
}

#[test]
fn a_million_durations_are_rounded_to_one_in_eight_thousand() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let (mut bounded, mut exact) = (Sample::bounded(), Sample::exact());
    for _ in 0..=(1 << 20) {
        let value = 1e-6 / (rng.random::<f64>() + 1e-9);
        bounded.push(value);
        exact.push(value);
    }
    assert!(bounded.is_rounded() && !exact.is_rounded());
    let (rounded, exact) = (bounded.ordered(), exact.ordered());
    assert_eq!(rounded.len(), exact.len());
    for quantile in [0.0, 0.1, 0.5, 0.95, 1.0] {
        let [found, value] = [&rounded, &exact].map(|one| one.quantile(quantile).unwrap());
        assert!((found - value).abs() <= value / 8192.0, "{found} for {value}");
    }
}

#[test]
fn newcombes_interval_covers_the_truth_as_often_as_it_says() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (p, q, n, m) in [(0.8, 0.9, 60, 90), (0.5, 0.5, 30, 30), (0.97, 0.99, 200, 100)] {
        let mut draw = |count: u64, rate: f64| {
            (0..count).filter(|_| rng.random::<f64>() < rate).count() as u64
        };
        let covered = (0..4000)
            .filter(|_| {
                let (a, b) = (Rate::new(draw(n, p), n), Rate::new(draw(m, q), m));
                let Interval(from, to) = Rate::difference(a, b, 0.95);
                (from..=to).contains(&(q - p))
            })
            .count();
        assert!((3740..=3920).contains(&covered), "{covered} of 4000 for {p} and {q}");
    }
}

#[test]
fn the_rank_test_is_wrong_as_often_as_it_says_and_sees_what_is_there() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let mut found = |shift: f64| {
        (0..600)
            .filter(|_| {
                let mut draw = |count: u64, shift: f64| {
                    let mut sample = Sample::exact();
                    (0..count).for_each(|_| sample.push((rng.random::<f64>() + shift) * 20.0));
                    sample.ordered()
                };
                let (a, b) = (draw(40, 0.0), draw(40, shift));
                Ranks::of(&a, &b).unwrap().p_value < 0.05
            })
            .count()
    };
    let (wrong, right) = (found(0.0), found(0.2));
    assert!((14..=46).contains(&wrong), "{wrong} of 600 without a difference");
    assert!(right > 480, "{right} of 600 with one");
}

#[test]
fn batches_that_differ_weaken_the_interval() {
    let night = |night: u32, rate: u64| (0..100).map(move |at| (at < rate, 1, None, night));
    let a: Vec<Attempt> = night(0, 50).chain(night(1, 90)).collect();
    let b: Vec<Attempt> = night(1, 82).chain(night(2, 80)).collect();
    let found = compared(&a, &b).success_rate;
    let over = found.interval_over_batches.unwrap();
    assert!(found.interval.excludes_zero() && !over.excludes_zero(), "{found:?}");
    let needed = found.needed.unwrap();
    let alone = super::power::for_h(found.cohens_h, 0.95);
    assert!(
        needed.each as f64 > alone * 2.0,
        "attempts of one night say less: {needed:?}, {alone}"
    );
    let same = compared(&a, &a).success_rate;
    assert_eq!(same.interval_over_batches, None, "both have the same nights");
    let (one, other): (Vec<_>, Vec<_>) = (night(0, 50).collect(), night(1, 60).collect());
    assert_eq!(compared(&one, &other).success_rate.interval_over_batches, None, "nobody knows");
}

#[test]
fn nights_that_differ_by_chance_are_told_apart_no_more_often_than_is_said() {
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    for (of_a, of_b) in [(10, 1), (2, 2), (3, 3), (2, 9), (7, 7)] {
        let wrong = (0..600).filter(|_| {
            let mut nights = |from: usize, count: usize| {
                let mut set = Set::default();
                for number in from..from + count {
                    let id: BatchId =
                        format!("202611{:02}T020000Z-000000", number + 1).parse().unwrap();
                    // The sum of twelve even draws is as good as normal.
                    let noise: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
                    let rate = 0.85 + 0.03 * noise;
                    let successes = (0..500).filter(|_| rng.random::<f64>() < rate).count() as u64;
                    set.batches.insert(id, (500, successes));
                    set.attempts += 500;
                    set.successes += successes;
                }
                set
            };
            let (a, b) = (nights(0, of_a), nights(of_a, of_b));
            RateFigures::of(&a, &b, 0.95).interval_over_batches.unwrap().excludes_zero()
        });
        let wrong = wrong.count();
        assert!(wrong <= 54, "{wrong} of 600 with {of_a} nights and {of_b}");
    }
}

#[test]
fn terms_of_one_kind_are_alternatives_and_kinds_are_conditions() {
    let selector = |text: &str| Selector::parse(text, now()).unwrap();
    let record = record_of("wide", "2026-11-23T02:00:00Z");
    for (text, is) in [
        ("variant=wide", true),
        ("variant=usual", false),
        ("variant=usual,variant=wide", true),
        ("variant=wide,operator=lognormal", true),
        ("variant=wide,operator=gaussian", false),
        ("strategy=a", true),
        ("strategy=a.py", true),
        ("strategy=b", false),
        ("parameter=stop_loss_pct", true),
        ("batch=20261123T020000Z-7f3a9c", true),
        ("date=2026-11-23", true),
        ("date=2026-11-24", false),
        ("date=2026-11-20..2026-11-23", true),
        ("date=2026-11-20..2026-11-23T02:00:00Z", false),
        ("date=3d..", true),
        ("date=..2026-11-22", false),
    ] {
        assert_eq!(selector(text).matches(&record), is, "{text}");
    }
}

#[test]
fn a_bare_word_is_what_it_alone_can_mean() {
    let mut known = Vocabulary::default();
    known.add(&record_of("wide", "2026-11-23T02:00:00Z"));
    known.add(&record_of("gaussian", "2026-11-23T02:00:00Z"));
    let resolved = |word: &str| {
        let mut selector = Selector::parse(word, now()).unwrap();
        selector.resolve(&known, |path| path == "audit", now()).map(|()| selector)
    };
    for (word, term) in [
        ("wide", "variant=wide"),
        ("uniform", "operator=uniform"),
        ("stop_loss_pct", "parameter=stop_loss_pct"),
        ("a", "strategy=a"),
        ("20261123T020000Z-7f3a9c", "batch=20261123T020000Z-7f3a9c"),
        ("2026-11-23", "date=2026-11-23"),
        ("7d..", "date=7d.."),
        ("audit", "path=audit"),
    ] {
        assert_eq!(resolved(word).unwrap(), Selector::parse(term, now()).unwrap(), "{word}");
    }
    let said = |word: &str| resolved(word).unwrap_err().to_string();
    let both = "`gaussian` can mean variant=gaussian or operator=gaussian; write which";
    assert_eq!(said("gaussian"), both);
    assert!(said("wied").contains("did you mean `wide`?"), "{}", said("wied"));
}

#[test]
fn no_p_value_is_said_to_be_zero() {
    assert_eq!(
        [0.0, 9e-4, 0.001, 0.0416, 1.0].map(p_value),
        ["p < 0.001", "p < 0.001", "p = 0.001", "p = 0.042", "p = 1.000"]
    );
}

#[test]
fn a_difference_that_rounds_to_nothing_has_no_direction() {
    assert_eq!(
        [-0.0, -4e-4, 4e-4, -6e-4, 0.0416, -1.0].map(points),
        ["+0.0", "+0.0", "+0.0", "-0.1", "+4.2", "-100.0"]
    );
}
