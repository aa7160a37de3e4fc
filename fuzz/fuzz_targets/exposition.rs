//! What a gateway shows at `/metrics`: refused with a reason, or samples of our group, and those, written again, read as
//! themselves; so does what our own encoder writes, whatever a parameter or a gateway is called.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::gateway::{GroupingKey, Shown};
use mutation_agent::metrics::{BatchSummary, SearchSummary, Status, StrategySearch};
use mutation_agent::metrics::{
    Buckets, Exposition, PushResult, Samples, Tally, Totals, encode_text, same, samples,
};
use mutation_agent::record::Record;
use std::collections::BTreeMap;
use std::fmt::Write as _;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

const GROUP: &str = "instance=\"a\",job=\"j\"";
const RECORD: &str = include_str!("../corpus/audit_line/record");

pub(crate) fn check(data: &[u8]) {
    match read(data) {
        Shown::Group(shown) => holds(&written(&shown), &shown),
        Shown::NoGroup | Shown::WriteOnly => {}
        Shown::NotAPushgateway(reason) | Shown::Unreachable(reason) => {
            assert!(!reason.to_string().is_empty());
        }
    }
    let totals = totals(&String::from_utf8_lossy(data));
    let families = Exposition::new(&totals).gather();
    let text = String::from_utf8(encode_text(&families).unwrap()).unwrap();
    holds(&in_group(&text), &samples(&families));
}

fn read(text: &[u8]) -> Shown {
    let labels = [("instance".to_owned(), "a".to_owned())];
    Shown::read(&GroupingKey::new("j", &labels, &[]).unwrap(), text)
}

/// Demands that a text reads as these samples.
fn holds(text: &str, expected: &Samples) {
    let Shown::Group(shown) = read(text.as_bytes()) else { panic!("no group in {text}") };
    assert!(shown.keys().eq(expected.keys()), "{shown:?} is not {expected:?}");
    assert!(shown.values().zip(expected.values()).all(|(one, other)| same(*one, *other)), "{text}");
}

/// Samples of our group as a gateway may write them.
fn written(samples: &Samples) -> String {
    let mut text = format!("push_time_seconds{{{GROUP}}} 1\n");
    for (series, value) in samples {
        write!(text, "{}{{{GROUP}", series.name).unwrap();
        for (name, value) in &series.labels {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            write!(text, ",{name}=\"{value}\"").unwrap();
        }
        writeln!(text, "}} {value}").unwrap();
    }
    text
}

/// What was pushed, as a gateway shows it.
fn in_group(text: &str) -> String {
    let mut shown = String::new();
    for line in text.split_inclusive('\n') {
        match line.find(['{', ' ']) {
            _ if line.starts_with('#') => shown.push_str(line),
            Some(end) if line[end..].starts_with('{') => {
                write!(shown, "{}{{{GROUP},{}", &line[..end], &line[end + 1..]).unwrap();
            }
            Some(end) => write!(shown, "{}{{{GROUP}}}{}", &line[..end], &line[end..]).unwrap(),
            None => panic!("no sample: {line}"),
        }
    }
    shown
}

/// Totals in which this name stands in the labels.
fn totals(name: &str) -> Totals {
    let mut record: Record<'_> = serde_json::from_str(RECORD).unwrap();
    record.parameter = name.into();
    let mut tally = Tally::new(Buckets::default());
    tally.add(&record);
    let mut totals = Totals::new(Buckets::default());
    totals.fold(&BatchSummary {
        batch_id: record.batch_id.into_owned(),
        status: Status::Completed,
        started: record.timestamp,
        ended: Some(record.timestamp),
        duration_seconds: Some(1.5),
        exit_code: Some(0),
        rounds_completed: 1,
        targets: BTreeMap::from([(name.to_owned(), 1)]),
        search: Some(SearchSummary {
            less_is_better: true,
            strategies: BTreeMap::from([(
                name.to_owned(),
                StrategySearch {
                    baseline: -1.5,
                    champion: 1.5,
                    sigmas: BTreeMap::from([(name.to_owned(), 0.15)]),
                },
            )]),
        }),
        ingest: None,
        tally,
    });
    totals.count_pushes(name, &BTreeMap::from([(PushResult::Delivered, 1)]));
    totals
}
