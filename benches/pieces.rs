//! What the pieces of a mutation cost, each for itself, and what is done with records and totals afterwards.
//!
//! ```sh
//! cargo bench --bench pieces
//! cargo test --bench pieces       # each once, to see that it works
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark ends at once where something is wrong")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mutation_agent::audit::{Folder, Journal, read_records};
use mutation_agent::gateway::{Body, Compression, Format, GroupingKey, Moment};
use mutation_agent::metrics::{BatchSummary, Buckets, Exposition, Tally, Totals};
use mutation_agent::mutation::{BoundRule, Domain, LANES, Mutator, Openings, Operator, Streams};
use mutation_agent::record::{Millis, Outcome, Record};
use mutation_agent::strategy::{PythonVersion, Site, Source};
use mutation_agent::units::{BatchId, Decimal, Kind, MutationId, Number, Timestamp};
use rand::Rng as _;
use std::borrow::Cow;
use std::hint::black_box;
use tempfile::TempDir;

/// So many records at a time.
const RECORDS: u32 = 10_000;

criterion_group!(pieces, streams, mutation, records, totals, strategies);
criterion_main!(pieces);

/// Four attempts begin, and draw one number each.
fn streams(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("streams");
    let streams = Streams::new(42, 1, "strategy.py");
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("side by side", |bench| {
        bench.iter(|| {
            let openings = Openings::of(std::array::from_fn(|_| (&streams, next())));
            for lane in 0..LANES {
                black_box(openings.attempt(lane).next_u64());
            }
        });
    });
    group.bench_function("one after the other", |bench| {
        bench.iter(|| {
            for _ in 0..LANES {
                black_box(streams.attempt(next()).next_u64());
            }
        });
    });
    group.finish();
}

fn mutation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mutation");
    let streams = Streams::new(42, 1, "strategy.py");
    let mutator = mutator();
    let mut number = 0;
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("propose", |bench| {
        bench.iter(|| {
            let openings = Openings::of(std::array::from_fn(|_| {
                number += 1;
                (&streams, number)
            }));
            for lane in 0..LANES {
                black_box(mutator.propose(black_box(0.05), &mut openings.attempt(lane)));
            }
        });
    });
    let source = source(153);
    let site = stop_loss(&source);
    let value = Decimal::new(637, 4).unwrap();
    let mut text = String::new();
    group.throughput(Throughput::Elements(1));
    group.bench_function("render the literal and read it back", |bench| {
        bench.iter(|| {
            site.render(black_box(value), &mut text);
            black_box((&text, site.read_back(black_box(value))));
        });
    });
    group.finish();
}

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    group.throughput(Throughput::Elements(RECORDS.into()));
    let id = id();
    let records: Vec<Record> = (1..=RECORDS).map(|number| record(&id, number)).collect();
    group.bench_function("write lines", |bench| {
        bench.iter_batched(
            || journal(&id),
            |open| written(open, &records),
            BatchSize::PerIteration,
        );
    });
    let (folder, _) = written(journal(&id), &records);
    let path = Folder::new(folder.path().to_owned()).open_journal(&id);
    group.bench_function("read lines", |bench| {
        bench.iter(|| {
            let mut read = 0;
            read_records(&path, |record, line| {
                black_box((record, line));
                read += 1;
            })
            .unwrap();
            assert_eq!(read, RECORDS);
        });
    });
    let mut tally = Tally::new(Buckets::default());
    group.bench_function("Tally::add", |bench| {
        bench.iter(|| records.iter().for_each(|record| tally.add(black_box(record))));
    });
    group.finish();
}

fn totals(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("totals");
    let mut tally = Tally::new(Buckets::default());
    let id = id();
    (1..=RECORDS).for_each(|number| tally.add(&record(&id, number)));
    let mut totals = Totals::new(Buckets::default());
    totals.fold(&BatchSummary::new(id, tally));
    group.bench_function("gather families", |bench| {
        bench.iter(|| Exposition::new(black_box(&totals)).gather());
    });
    let families = Exposition::new(&totals).gather();
    let (grouping, moment) = (GroupingKey::new("j", &[], &[]).unwrap(), Moment::default());
    for (name, format) in [("encode protobuf", Format::Protobuf), ("encode text", Format::Text)] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let (families, packed) = (black_box(&families), Compression::None);
                Body::new(families, format, packed, &grouping, &moment).unwrap()
            });
        });
    }
    group.finish();
}

fn strategies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("strategies");
    for lines in [153, 5000] {
        let text = strategy(lines);
        group.throughput(Throughput::Elements(lines));
        group.bench_function(format!("parse {lines} lines"), |bench| {
            bench.iter(|| {
                let bytes = black_box(&text).clone().into_bytes();
                Source::parse(bytes, PythonVersion::default()).unwrap()
            });
        });
    }
    group.finish();
}

fn mutator() -> Mutator {
    let decimal = |mantissa| Decimal::new(mantissa, 4).unwrap();
    let domain = Domain::new(Kind::Float, decimal(100), decimal(2000), decimal(1)).unwrap();
    Mutator::new(domain, None, None, BoundRule::Reflect).unwrap()
}

fn id() -> BatchId {
    BatchId::next(Timestamp::from_micros(1_764_300_000_000_000), 0x7f_3a9c, None)
}

/// An empty journal in a folder of its own.
fn journal(id: &BatchId) -> (TempDir, Journal) {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::create(&Folder::new(folder.path().to_owned()), id, 1000, None).unwrap();
    (folder, journal)
}

fn written((folder, mut journal): (TempDir, Journal), records: &[Record]) -> (TempDir, Journal) {
    for record in records {
        journal.append(record, 0).unwrap();
    }
    journal.flush().unwrap();
    (folder, journal)
}

/// One of every ten attempts fails to change anything.
fn record(id: &BatchId, number: u32) -> Record<'_> {
    let changes = !number.is_multiple_of(10);
    let value = |mantissa| Number::Float(Decimal::new(mantissa, 4).unwrap().to_f64());
    Record {
        timestamp: Timestamp::from_micros(1_764_300_000_000_000 + i64::from(number)),
        batch_id: Cow::Borrowed(id),
        mutation_id: MutationId(number.into()),
        round: 1,
        strategy: Cow::Borrowed("strategies/trend_following.py"),
        line: 12,
        parameter: Cow::Borrowed("stop_loss_pct"),
        operator: Operator::Lognormal,
        variant: None,
        parent: None,
        old_value: value(500),
        new_value: value(if changes { 100 + i64::from(number % 1900) } else { 500 }),
        clamped: false,
        outcome: if changes { Outcome::Success } else { Outcome::NoChange },
        success: changes,
        validation_passed: changes,
        error: None,
        fitness: None,
        duration: Some(Millis::from_nanos(300 + u64::from(number) * 7919 % 4000)),
        evaluation: None,
        also: Vec::new(),
    }
}

fn source(lines: u64) -> Source {
    Source::parse(strategy(lines).into_bytes(), PythonVersion::default()).unwrap()
}

fn stop_loss(source: &Source) -> Site {
    source.site(&"stop_loss_pct".parse().unwrap(), None).unwrap()
}

/// A strategy of so many lines: a few settings, and signals for the rest.
fn strategy(lines: u64) -> String {
    let mut text = String::from(
        "import pandas as pd\n\n\n\
         class Trend:\n    \"\"\"Buys what rises.\"\"\"\n\n    \
         stop_loss_pct = 0.05\n    take_profit_pct = 0.15\n    holding_period_days = 10\n",
    );
    let signal = |number: u64| {
        format!(
            "\n    def signal_{number}(self, prices: pd.DataFrame) -> pd.Series:\n        \
             fast = prices[\"close\"].ewm(span={number} + 12).mean()\n        \
             slow = prices[\"close\"].ewm(span={number} + 26, adjust=False).mean()\n        \
             rises = (fast > slow) & (prices[\"volume\"] > 0.5 * prices[\"volume\"].mean())\n        \
             return rises.astype(int).shift(1).fillna(0)\n"
        )
    };
    let (head, signal_lines) = (9, 6);
    (0..(lines - head) / signal_lines).for_each(|number| text.push_str(&signal(number)));
    while (text.lines().count() as u64) < lines {
        text.push_str("# That is all.\n");
    }
    assert_eq!(text.lines().count() as u64, lines);
    text
}
