//! An audit file's bytes, as a killed batch may leave them: read up to the first line that is no record to `serde_json`, as
//! the records that it makes of them, and what was read, written by the journal and read again, is the same records.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::audit::{Folder, Journal, LogFold, ReadError, Tail, read_records};
use mutation_agent::metrics::{Buckets, Statistics};
use mutation_agent::record::Record;
use std::path::Path;

#[path = "../support/home.rs"]
mod home;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let home = home::home();
    let path = home.path().join("read.jsonl");
    std::fs::write(&path, data).unwrap();
    let mut lines = Vec::new();
    let mut log = LogFold::new(Buckets::default());
    let tail = read_records(&path, |record, line| {
        assert_eq!(exactly(record), exactly(&self::record(line)));
        log.take(record, line);
        lines.push(line.to_vec());
    });
    let whole = usize::try_from(log.end().bytes).unwrap();
    assert!(data[..whole].is_empty() || data[..whole].ends_with(b"\n"));
    match tail {
        Ok(Tail::Whole) => assert_eq!(whole, data.len()),
        Ok(Tail::Torn { bytes }) => assert_eq!(whole as u64 + bytes, data.len() as u64),
        Err(error @ (ReadError::Line { line, .. } | ReadError::TooLong { line, .. })) => {
            assert_eq!(line, lines.len() as u64 + 1);
            let next = data[whole..].split_inclusive(|byte| *byte == b'\n').next().unwrap();
            let is_record = serde_json::from_slice::<Record<'_>>(next).is_ok();
            assert!(!is_record || matches!(error, ReadError::TooLong { .. }), "{error}");
        }
        Err(ReadError::Disk(error)) => panic!("{error}"),
    }
    assert_eq!(log.tally.attempts(), lines.len() as u64);
    let _ = serde_json::to_string(&Statistics::of(&log.tally)).unwrap();
    write_and_read(home.path(), &lines);
}

/// Each of them twice: as the first of its target and round, and as the next one.
fn write_and_read(home: &Path, lines: &[Vec<u8>]) {
    let (folder, id) = (Folder::new(home.to_owned()), "20261123T020000Z-7f3a9c".parse().unwrap());
    let mut journal = Journal::create(&folder, &id, 1, None).unwrap();
    for (target, line) in lines.iter().enumerate() {
        journal.append(&record(line), target).unwrap();
        journal.append(&record(line), target).unwrap();
    }
    let mut expected = lines.iter().flat_map(|line| [line, line]);
    let tail = read_records(journal.path(), |read, _| {
        assert_eq!(Some(exactly(read)), expected.next().map(|line| exactly(&record(line))));
    });
    assert!(matches!(tail, Ok(Tail::Whole)), "{tail:?}");
    assert_eq!(expected.next(), None);
}

/// With minus zero and what is not a number told apart.
fn exactly(record: &Record<'_>) -> String {
    format!("{record:?}")
}

fn record(line: &[u8]) -> Record<'_> {
    serde_json::from_slice(line).unwrap()
}
