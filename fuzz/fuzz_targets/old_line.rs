//! A line of another program's log, as kills, full disks and other programs may leave it: read without a panic, and no
//! whole record in it is lost, whatever stands before it or behind.

#![cfg_attr(fuzzing, no_main)]

use jiff::tz::TimeZone;
use mutation_agent::ingest::{LocalTime, OldRecord, Piece, pieces};

/// One that Python's `json` has written.
const RECORD: &[u8] = br#"{"timestamp": "2026-10-25T02:30:00.5", "parameter": "stop_loss_pct", "old_value": NaN, "new_value": 0.12, "clamped": false, "success": true, "validation_passed": true, "error": null, "duration_ms": 254.26}"#;
/// The most that is kept of an error.
const LONGEST_ERROR: usize = 4096;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let mut berlin = LocalTime::new(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
    for record in pieces(data).iter().flatten() {
        let _ = berlin.moment(record.when);
        assert!(!record.parameter.is_empty());
        assert!(record.error.as_ref().is_none_or(|error| error.len() <= LONGEST_ERROR));
    }
    let [whole] = pieces(RECORD).try_into().unwrap();
    let whole = whole.unwrap();
    is_whole(pieces(&[data, RECORD].concat()).last(), &whole);
    is_whole(pieces(&[RECORD, data].concat()).first(), &whole);
}

fn is_whole(piece: Option<&Piece>, whole: &OldRecord) {
    // It has a value that is no number, and equals nothing.
    let shown = piece.map(|piece| format!("{:?}", piece.as_ref().unwrap()));
    assert_eq!(shown, Some(format!("{whole:?}")));
}
