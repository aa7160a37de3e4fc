//! What a night must be called, and that nothing of what people or programs wrote is markup.

use super::*;
use crate::metrics::Status;
use crate::record::tests::sample;
use crate::record::{Millis, Outcome, Record};
use crate::units::{BatchId, Number, Shard, Timestamp};
use std::borrow::Cow;
use std::collections::BTreeMap;

const EVIL: &str = "<script>alert(\"x\")</script>&'\u{202e}\0\u{1b}[2J\u{7}";

fn batch(day: u32, status: Status) -> Batch {
    let id: BatchId = format!("202611{day:02}T020000Z-7f3a9c").parse().unwrap();
    Batch {
        started: id.start(),
        id,
        shard: None,
        status: Some(status),
        seconds: Some(1.5),
        exit_code: Some(0),
        rounds: 2,
        error: None,
        targets: BTreeMap::from([("usable".to_owned(), 4)]),
        less_is_better: None,
        baselines: BTreeMap::new(),
    }
}

fn record(id: &BatchId, number: u32, outcome: Outcome) -> Record<'static> {
    Record {
        outcome,
        success: outcome.is_success(),
        validation_passed: outcome.is_valid(),
        old_value: Number::Int(i64::from(number % 7) + 1),
        new_value: Number::Int(i64::from(number % 5) + 1),
        fitness: None,
        error: None,
        duration: Some(Millis::from_nanos(9_000 + u64::from(number))),
        evaluation: None,
        clamped: false,
        ..sample(Cow::Owned(id.clone()))
    }
}

/// A night of 100 attempts, so many of which succeed.
fn night(facts: &mut Facts, batch: Batch, successes: u32) {
    let id = batch.id.clone();
    let mut reading = facts.begin(batch);
    for number in 0..100 {
        let outcome = if number < successes { Outcome::Success } else { Outcome::NoChange };
        facts.add(&mut reading, &record(&id, number, outcome));
    }
    facts.end(reading);
}

/// Nine good nights and the one that is given.
fn nights(last: Batch, successes: u32) -> Facts {
    let mut facts = Facts::default();
    for day in 1..10 {
        night(&mut facts, batch(day, Status::Completed), 95);
    }
    night(&mut facts, last, successes);
    facts
}

fn around(hours: u64) -> Surroundings {
    let end: Timestamp = "2026-11-10T02:00:00Z".parse().unwrap();
    Surroundings {
        now: Some(end.plus(std::time::Duration::from_secs(hours * 3_600))),
        findings: Some(Vec::new()),
        ..Surroundings::default()
    }
}

fn page(facts: &Facts, around: &Surroundings) -> String {
    super::page(facts, around, &Verdict::of(facts, around))
}

fn grade(facts: &Facts, around: &Surroundings) -> (Grade, String) {
    let verdict = Verdict::of(facts, around);
    (verdict.grade, verdict.reasons[0].text.clone())
}

#[test]
fn a_night_like_the_others_is_good() {
    let facts = nights(batch(10, Status::Completed), 94);
    let (grade, _) = grade(&facts, &around(6));
    assert_eq!(grade, Grade::Good);
    assert!(
        page(&facts, &around(6)).contains("94 of 100 mutations succeeded (94.0 %); usual are ")
    );
}

#[test]
fn what_is_broken_makes_a_night_bad() {
    let completed = || batch(10, Status::Completed);
    let failed = Batch { error: Some("disk full".to_owned()), ..batch(10, Status::Failed) };
    let not_as_written =
        Surroundings { findings: Some(vec!["A.jsonl: changed".to_owned()]), ..around(6) };
    for (facts, around, reason) in [
        (Facts::default(), around(6), "There is no batch."),
        (nights(failed, 0), around(6), "The batch failed: disk full."),
        (
            nights(batch(10, Status::Crashed), 90),
            around(6),
            "The batch was killed before it could end.",
        ),
        (nights(completed(), 30), around(6), "30 of 100 mutations succeeded (30.0 %)"),
        (
            nights(completed(), 95),
            around(27),
            "No batch has begun for 27 hours: a night is missing.",
        ),
        (
            nights(completed(), 95),
            not_as_written,
            "The audit is not as it was written: A.jsonl: changed",
        ),
    ] {
        let (grade, first) = grade(&facts, &around);
        assert_eq!(grade, Grade::Bad, "{reason}");
        assert!(
            Verdict::of(&facts, &around).reasons.iter().any(|one| one.text.starts_with(reason)),
            "{first}"
        );
    }
}

#[test]
fn of_shards_the_worst_decides_whichever_began_last() {
    let of = |day, index, count| Batch {
        shard: Shard::new(index, count).ok(),
        ..batch(day, Status::Completed)
    };
    let shards = |last: Vec<(Batch, u32)>| {
        let mut facts = Facts::default();
        for (batch, successes) in last {
            night(&mut facts, batch, successes);
        }
        grade(&facts, &around(6))
    };
    let good = shards(vec![(of(1, 0, 2), 95), (of(10, 0, 2), 95), (of(10, 1, 2), 95)]);
    assert_eq!(good.0, Grade::Good);
    assert!(good.1.starts_with("190 of 200 mutations of all shards succeeded"), "{}", good.1);
    let failed = Batch { status: Some(Status::Failed), ..of(10, 0, 2) };
    let bad = shards(vec![(failed, 95), (of(10, 1, 2), 95)]);
    assert_eq!(bad.0, Grade::Bad);
    assert!(bad.1.starts_with("Shard 0: The batch failed"), "{}", bad.1);
    let missing = shards(vec![(of(10, 1, 3), 95), (of(10, 0, 3), 95)]);
    assert_eq!(missing, (Grade::Bad, "Of 3 shards these have no batch: 2.".to_owned()));
    let absent = shards(vec![(of(9, 1, 2), 95), (of(10, 0, 2), 95)]);
    assert_eq!(absent.0, Grade::Bad);
    assert!(absent.1.starts_with("Shard 1 was not there tonight"), "{}", absent.1);
    // What it did when there were more of them is no batch of tonight's.
    let fewer = shards(vec![(of(10, 1, 3), 95), (of(10, 0, 2), 95)]);
    assert_eq!(fewer, (Grade::Bad, "Of 2 shards these have no batch: 1.".to_owned()));
    // A batch of all strategies, or of another program's log, hides no shard that fails.
    let failed = Batch { status: Some(Status::Failed), ..of(10, 0, 1) };
    assert_eq!(shards(vec![(failed, 95), (batch(10, Status::Completed), 95)]).0, Grade::Bad);
    // With fewer shards than before the others have ended, and so has the one agent.
    let fewer = shards(vec![(batch(1, Status::Failed), 0), (of(2, 1, 2), 95), (of(10, 0, 1), 95)]);
    assert_eq!(fewer.0, Grade::Good);
    // One that has no turn is well.
    let mut facts = Facts::default();
    night(&mut facts, of(10, 0, 2), 95);
    let idle = facts.begin(of(10, 1, 2));
    facts.end(idle);
    assert_eq!(grade(&facts, &around(6)).0, Grade::Good);
}

#[test]
fn what_is_odd_deserves_a_look() {
    let completed = || batch(10, Status::Completed);
    let targets = BTreeMap::from([
        ("usable".to_owned(), 4),
        ("ambiguous".to_owned(), 1),
        ("not_found".to_owned(), 9),
    ]);
    let undelivered = Delivery { gateway: "main".to_owned(), is_delivered: false };
    let undelivered = Surroundings { deliveries: vec![undelivered], ..around(6) };
    let mut damaged = nights(completed(), 95);
    damaged.damage.push("x.jsonl:7: not an audit record".to_owned());
    let mut after_a_crash = nights(batch(9, Status::Crashed), 95);
    night(&mut after_a_crash, completed(), 95);
    for (facts, around, reason) in [
        (nights(completed(), 70), around(6), "70 of 100 mutations succeeded (70.0 %); usual are "),
        (nights(batch(10, Status::Interrupted), 95), around(6), "The batch was told to stop."),
        (
            nights(Batch { targets, ..completed() }, 95),
            around(6),
            "Some targets cannot be used: 1 ambiguous.",
        ),
        (nights(completed(), 95), undelivered, "Gateway main has not taken the newest totals."),
        (damaged, around(6), "Of the audit 1 file is missing or damaged."),
        (after_a_crash, around(6), "The batch before it was killed"),
    ] {
        let (grade, first) = grade(&facts, &around);
        assert_eq!(grade, Grade::Look, "{reason}");
        assert!(first.starts_with(reason), "{first}");
    }
}

#[test]
fn a_night_is_judged_by_its_own_clamping_however_many_others_there_were() {
    for (before, newest, expected) in [(0, 80, Grade::Look), (80, 0, Grade::Good)] {
        let mut facts = Facts::default();
        for day in 1..12 {
            let batch = batch(day, Status::Completed);
            let id = batch.id.clone();
            let mut reading = facts.begin(batch);
            for number in 0..100 {
                let clamped = number < if day == 11 { newest } else { before };
                let one = Record { clamped, ..record(&id, number, Outcome::Success) };
                facts.add(&mut reading, &one);
            }
            facts.end(reading);
        }
        let around = Surroundings::default();
        assert_eq!(grade(&facts, &around).0, expected, "{newest}");
        let text = page(&facts, &around);
        let share = format!("{newest}.0 % of the values for stop_loss_pct left their bounds");
        assert_eq!(text.contains(&share), newest > 0, "{text}");
    }
}

#[test]
fn an_evaluator_that_fails_is_told_by_how_often() {
    for (failures, expected) in [(5, Grade::Good), (20, Grade::Look), (60, Grade::Bad)] {
        let mut facts = Facts::default();
        let batch = batch(10, Status::Completed);
        let id = batch.id.clone();
        let mut reading = facts.begin(batch);
        for number in 0..100 {
            let outcome =
                if number < failures { Outcome::EvaluatorFailed } else { Outcome::Success };
            let evaluation = Some(Millis::from_nanos(1_000_000));
            facts.add(&mut reading, &Record { evaluation, ..record(&id, number, outcome) });
        }
        facts.end(reading);
        let (grade, first) = grade(&facts, &around(6));
        assert_eq!(grade, expected, "{first}");
    }
}

#[test]
fn what_people_and_programs_wrote_is_never_markup() {
    let mut facts = Facts::default();
    let mut evil = batch(10, Status::Failed);
    evil.error = Some(EVIL.to_owned());
    evil.targets = BTreeMap::from([(EVIL.to_owned(), 1)]);
    evil.baselines = BTreeMap::from([(EVIL.to_owned(), 1.0)]);
    let id = evil.id.clone();
    let mut reading = facts.begin(evil);
    let outcome = Outcome::EvaluatorFailed;
    facts.add(
        &mut reading,
        &Record {
            strategy: Cow::Borrowed(EVIL),
            parameter: Cow::Borrowed(EVIL),
            variant: Some(Cow::Borrowed(EVIL)),
            error: Some(Cow::Borrowed(EVIL)),
            fitness: Some(2.0),
            ..record(&id, 1, outcome)
        },
    );
    facts.end(reading);
    facts.damage.push(EVIL.to_owned());
    let evil = || EVIL.to_owned();
    let around = Surroundings {
        of: evil(),
        champions: vec![Champion {
            strategy: evil(),
            fitness: 1.0,
            source_fitness: 0.5,
            changes: vec![Change { parameter: evil(), from: evil(), to: evil() }],
            diff: evil(),
        }],
        deliveries: vec![Delivery { gateway: evil(), is_delivered: false }],
        findings: Some(vec![evil()]),
        ..Surroundings::default()
    };
    let page = page(&facts, &around);
    assert!(!page.contains("<script"), "{page}");
    assert!(!page.contains(['\0', '\u{1b}', '\u{7}', '\u{202e}']), "{page}");
    assert!(
        page.matches("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt;&amp;").count() >= 12,
        "{page}"
    );
}

#[test]
fn a_page_does_not_grow_with_the_records_or_without_end_with_the_nights() {
    let length = |nights: u32, strategies: u32| {
        let mut facts = Facts::default();
        for day in 0..nights {
            let batch =
                Batch { less_is_better: Some(false), ..batch(day % 28 + 1, Status::Completed) };
            let id = batch.id.clone();
            let mut reading = facts.begin(batch);
            for number in 0..strategies {
                let strategy = Cow::Owned(format!("strategies/{number}.py"));
                let record = record(&id, number, Outcome::Success);
                facts.add(
                    &mut reading,
                    &Record { strategy, fitness: Some(f64::from(number)), ..record },
                );
            }
            facts.end(reading);
        }
        page(&facts, &Surroundings::default()).len()
    };
    assert!(length(400, 100) < 1_000_000, "{}", length(400, 100));
    assert!(length(2, 5_000) < 500_000, "{}", length(2, 5_000));
}

#[test]
fn a_chart_ends_however_far_out_its_values_lie() {
    let mut facts = Facts::default();
    let batch = Batch { less_is_better: Some(false), ..batch(1, Status::Completed) };
    let id = batch.id.clone();
    let mut reading = facts.begin(batch);
    for (number, fitness) in [(0, f64::MAX), (1, -f64::MAX)] {
        let record = record(&id, number, Outcome::Success);
        let (old_value, new_value) = (Number::Float(-fitness), Number::Float(fitness));
        let strategy = Cow::Owned(format!("strategies/{number}.py"));
        let fitness = Some(fitness);
        facts.add(&mut reading, &Record { strategy, old_value, new_value, fitness, ..record });
    }
    facts.end(reading);
    let page = page(&facts, &Surroundings::default());
    assert!(page.contains("1.0e300") && page.contains("1.79769e308"), "{page}");
}

#[test]
fn shading_is_spoken_of_where_there_is_some_if_for_one_night_alone() {
    let mut few = Facts::default();
    night(&mut few, batch(1, Status::Completed), 95);
    let few = page(&few, &around(6));
    assert!(!few.contains("Shaded") && !few.contains("<polygon"), "{few}");
    let mut facts = Facts::default();
    for day in 1..9 {
        night(&mut facts, batch(day, Status::Completed), 95);
    }
    assert_eq!(facts.nights.iter().filter(|night| night.usual.is_some()).count(), 1);
    let page = page(&facts, &around(6));
    assert!(page.contains("Shaded"), "{page}");
    assert!(page.contains("<polygon opacity=\"1\" fill=\"#050505\""), "{page}");
}
