use super::*;
use crate::units::Timestamp;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn times(cron: &str, zone: &str) -> Times {
    Times::new(cron, TimeZone::get(zone).unwrap()).unwrap()
}

fn nightly(cron: &str, zone: &str, catch_up: CatchUp) -> Timetable {
    Timetable::new(times(cron, zone), Duration::ZERO, catch_up)
}

/// The first starts after a moment, in UTC.
fn starts(cron: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let times = times(cron, zone);
    let all = std::iter::successors(times.next_after(at(after)), |start| times.next_after(*start));
    all.take(count).map(|start| start.to_string().replace(":00.000000Z", "Z")).collect()
}

#[test]
fn a_time_in_a_gap_is_once_right_after_it() {
    // 02:00 becomes 03:00 (CET to CEST).
    assert_eq!(
        starts("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3),
        ["2026-03-28T01:30Z", "2026-03-29T01:00Z", "2026-03-30T00:30Z"]
    );
    // 02:00 becomes 03:00 (EST to EDT).
    assert_eq!(
        starts("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", 3),
        ["2026-03-07T07:30Z", "2026-03-08T07:00Z", "2026-03-09T06:30Z"]
    );
    // 02:00 becomes 02:30 (+10:30 to +11).
    assert_eq!(
        starts("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T16:00:00Z", 3),
        ["2026-10-03T15:30Z", "2026-10-04T15:15Z", "2026-10-05T15:15Z"]
    );
    // 00:00 becomes 01:00: the night belongs to the day that begins with the gap.
    assert_eq!(
        starts("30 0 * * *", "Africa/Cairo", "2026-04-22T22:00:00Z", 3),
        ["2026-04-22T22:30Z", "2026-04-23T22:00Z", "2026-04-24T21:30Z"]
    );
}

#[test]
fn a_time_that_comes_twice_is_once_the_first_time() {
    assert_eq!(
        starts("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3),
        ["2026-10-24T00:30Z", "2026-10-25T00:30Z", "2026-10-26T01:30Z"]
    );
    assert_eq!(
        starts("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", 3),
        ["2026-10-31T05:30Z", "2026-11-01T05:30Z", "2026-11-02T06:30Z"]
    );
    // 02:00 becomes 01:30 (+11 to +10:30).
    assert_eq!(
        starts("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T14:00:00Z", 3),
        ["2026-04-03T14:45Z", "2026-04-04T14:45Z", "2026-04-05T15:15Z"]
    );
}

#[test]
fn a_list_of_times_is_each_of_them() {
    assert_eq!(
        starts("0,30 2,14 * * *", "Europe/Berlin", "2026-03-28T20:00:00Z", 4),
        ["2026-03-29T01:00Z", "2026-03-29T12:00Z", "2026-03-29T12:30Z", "2026-03-30T00:00Z"]
    );
    // A day whose first half is left out (Samoa crossed the date line), and one on which 00:00 comes at 01:00.
    assert_eq!(
        starts("0 2 * * *", "Pacific/Apia", "2011-12-29T13:00:00Z", 2),
        ["2011-12-30T10:00Z", "2011-12-30T12:00Z"]
    );
    assert_eq!(
        starts("30 1-2 * * *", "Europe/Berlin", "2026-10-24T20:00:00Z", 3),
        ["2026-10-24T23:30Z", "2026-10-25T00:30Z", "2026-10-26T00:30Z"]
    );
}

#[test]
fn every_minute_of_the_day_one_by_one_is_found_at_once() {
    let times = times("0-59 0-23 * * *", "Australia/Lord_Howe");
    let mut moment = at("2026-04-04T14:00:00Z");
    for minute in 1..=59 {
        moment = times.next_after(moment).unwrap();
        assert_eq!(moment, at("2026-04-04T14:00:00Z").plus(minute * Duration::from_mins(1)));
    }
    // The half hour that comes twice is passed over the second time.
    assert_eq!(times.next_after(moment), Some(at("2026-04-04T15:30:00Z")));
}

#[test]
fn an_interval_goes_on_through_the_hour_that_comes_twice() {
    assert_eq!(
        starts("*/30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 4),
        ["2026-10-25T00:30Z", "2026-10-25T01:00Z", "2026-10-25T01:30Z", "2026-10-25T02:00Z"]
    );
    assert_eq!(
        starts("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3),
        ["2026-03-29T00:30Z", "2026-03-29T01:00Z", "2026-03-29T01:30Z"]
    );
}

#[test]
fn a_nightly_start_comes_once_on_every_day_of_every_zone() {
    for zone in [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Asia/Gaza",
    ] {
        for cron in ["30 2 * * *", "15 2 * * *", "45 1 * * *", "0 0 * * *", "30 0 * * *"] {
            let times = times(cron, zone);
            let mut start = times.next_after(at("2025-12-31T18:00:00Z")).unwrap();
            let mut day = times.local_text(start)[..10].parse::<jiff::civil::Date>().unwrap();
            for _ in 0..1500 {
                let next = times.next_after(start).unwrap();
                assert!(next > start, "{cron} {zone}: {next} after {start}");
                day = day.tomorrow().unwrap();
                assert_eq!(times.local_text(next)[..10], day.to_string(), "{cron} {zone}");
                start = next;
            }
        }
    }
}

#[test]
fn leap_days_and_weekdays_are_found() {
    assert_eq!(
        starts("0 2 29 2 *", "UTC", "2026-01-01T00:00:00Z", 2),
        ["2028-02-29T02:00Z", "2032-02-29T02:00Z"]
    );
    assert_eq!(starts("0 2 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1), ["2104-02-29T02:00Z"]);
    // Either day, but both where one of them has a `*`: Mondays that are odd days.
    assert_eq!(
        starts("0 2 1,15 * 1", "UTC", "2026-11-29T03:00:00Z", 3),
        ["2026-11-30T02:00Z", "2026-12-01T02:00Z", "2026-12-07T02:00Z"]
    );
    assert_eq!(
        starts("0 2 */2 * 1", "UTC", "2026-11-29T03:00:00Z", 2),
        ["2026-12-07T02:00Z", "2026-12-21T02:00Z"]
    );
    assert_eq!(
        starts("0 2 * * MON-fri", "UTC", "2026-11-27T03:00:00Z", 2),
        ["2026-11-30T02:00Z", "2026-12-01T02:00Z"]
    );
}

#[test]
fn what_is_no_expression_is_told_what_it_lacks() {
    let said = |text: &str| Times::new(text, TimeZone::UTC).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "",
            "0 2 * *",
            "0 0 2 * * *",
            "@daily",
            "60 2 * * *",
            "0 24 * * *",
            "0 2 0 * *",
            "0 2 * 13 *",
            "0 2 * * 8",
            "a 2 * * *",
            "0 2 * * MOON",
            "5-1 2 * * *",
            "*/0 * * * *",
            "0 2 31 2 *",
            "0 2 30 FEB *",
            "0 0 31 4,6 *",
            "0 ２ * * *",
            "0\t2 * * \u{1b}",
            "@ @ @ @ @",
            ", , , , ,",
            "0,,5 2 * * *",
            "0 2-30 * * *",
            "0 2 * * +",
        ]
        .map(|text| format!("{text:?}: {}", said(text)))
        .join("\n")
    );
    assert!(said(&"0,".repeat(200)).contains("five fields"));
    assert!(said(&format!("0{} 2 * * *", ",0".repeat(200))).contains("longer than 200 bytes"));
}

proptest! {
    #[test]
    fn no_expression_panics_or_goes_back(
        fields in prop::collection::vec("[0-9*,/LW#?+A-Z-]{1,6}|[0-9]{1,2}|\\*|\\*/[0-9]{1,2}", 5),
        moment in -60_000_000_000_i64..20_000_000_000_i64,
    ) {
        let Ok(times) = Times::new(&fields.join(" "), TimeZone::get("Asia/Gaza").unwrap()) else { return Ok(()) };
        let moment = Timestamp::from_micros(moment * 1_000_000);
        if let Some(next) = times.next_after(moment) {
            prop_assert!(next > moment);
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Times::new(&text, TimeZone::UTC);
    }
}

#[test]
fn a_night_begins_when_it_is_due_and_once() {
    let table = nightly("0 2 * * *", "UTC", CatchUp::Skip);
    let (last, due) = (at("2026-11-28T02:00:00Z"), at("2026-11-29T02:00:00Z"));
    assert_eq!(table.turn(last, None, at("2026-11-28T02:00:05Z")), Turn::Wait(Some(due)));
    assert_eq!(table.turn(last, None, at("2026-11-29T01:59:59.999999Z")), Turn::Wait(Some(due)));
    let begin = Turn::Begin { start: due, missed: Missed(0) };
    for now in ["2026-11-29T02:00:00Z", "2026-11-29T02:00:01Z", "2026-11-29T02:01:00Z"] {
        assert_eq!(table.turn(last, None, at(now)), begin, "{now}");
    }
    let next = at("2026-11-30T02:00:00Z");
    assert_eq!(table.turn(due, None, at("2026-11-29T02:00:00.5Z")), Turn::Wait(Some(next)));
}

#[test]
fn a_suspend_over_a_start_is_a_missed_start() {
    let (last, due) = (at("2026-11-28T02:00:00Z"), at("2026-11-29T02:00:00Z"));
    let (missed, now) = (Missed(1), at("2026-11-29T07:00:00Z"));
    let turn = |catch_up| nightly("0 2 * * *", "UTC", catch_up).turn(last, None, now);
    assert_eq!(turn(CatchUp::Skip), Turn::Pass { newest: due, missed });
    assert_eq!(turn(CatchUp::Once(4 * HOUR)), Turn::Pass { newest: due, missed });
    assert_eq!(turn(CatchUp::Once(5 * HOUR)), Turn::Begin { start: due, missed: Missed(0) });
}

#[test]
fn many_missed_nights_are_one_batch_for_the_newest() {
    let last = at("2026-11-20T02:00:00Z");
    let table = nightly("0 2 * * *", "UTC", CatchUp::Once(6 * HOUR));
    assert_eq!(
        table.turn(last, None, at("2026-11-28T03:00:00Z")),
        Turn::Begin { start: at("2026-11-28T02:00:00Z"), missed: Missed(7) }
    );
    assert_eq!(
        table.turn(last, None, at("2026-11-28T09:00:00Z")),
        Turn::Pass { newest: at("2026-11-28T02:00:00Z"), missed: Missed(8) }
    );
}

#[test]
fn a_batch_longer_than_the_period_swallows_starts() {
    let table = nightly("*/10 * * * *", "UTC", CatchUp::Skip);
    let last = at("2026-11-28T02:00:00Z");
    assert_eq!(
        table.turn(last, None, at("2026-11-28T02:25:00Z")),
        Turn::Pass { newest: at("2026-11-28T02:20:00Z"), missed: Missed(2) }
    );
    // It ends just after a start: that one is a little late.
    assert_eq!(
        table.turn(last, None, at("2026-11-28T02:20:30Z")),
        Turn::Begin { start: at("2026-11-28T02:20:00Z"), missed: Missed(1) }
    );
}

#[test]
fn a_clock_that_is_set_back_runs_no_night_twice() {
    let table = nightly("0 2 * * *", "UTC", CatchUp::Once(DAY));
    let considered = at("2026-11-28T02:00:00Z");
    for now in ["2026-11-28T01:59:00Z", "2026-11-27T12:00:00Z", "2026-11-27T02:00:00Z"] {
        let next = at("2026-11-29T02:00:00Z");
        assert_eq!(
            table.turn(considered, Some(considered), at(now)),
            Turn::Wait(Some(next)),
            "{now}"
        );
    }
    // It had stood in another year.
    for now in ["2026-11-27T01:59:59Z", "2024-01-01T00:00:00Z"] {
        let to = at(now);
        assert_eq!(table.turn(considered, Some(considered), to), Turn::SetBack { to }, "{now}");
        let coming = table.next_after(to);
        assert_eq!(table.turn(to, Some(considered), to), Turn::Wait(coming), "{now}");
    }
    // A host without a clock of its own begins in 1970, and is then told the time: last night's batch was there.
    let (start, now) = (at("1970-01-01T00:00:10Z"), at("2026-11-28T05:00:00Z"));
    let next = at("2026-11-29T02:00:00Z");
    assert_eq!(table.turn(start, Some(considered), now), Turn::Wait(Some(next)));
}

#[test]
fn a_start_that_was_passed_by_a_clock_that_was_ahead_comes_again() {
    let table = nightly("0 2 * * *", "UTC", CatchUp::Skip);
    let (passed, begun) = (at("2026-11-29T02:00:00Z"), Some(at("2026-11-28T02:00:00Z")));
    let to = at("2026-11-28T20:00:00Z");
    assert_eq!(table.turn(passed, begun, to), Turn::SetBack { to });
    assert_eq!(table.turn(to, begun, to), Turn::Wait(Some(passed)));
    assert_eq!(table.turn(passed, None, to), Turn::SetBack { to });
    // Within the usual of a clock nothing is said.
    let to = at("2026-11-29T01:59:30Z");
    assert!(matches!(table.turn(passed, begun, to), Turn::Wait(_)));
}

#[test]
fn a_clock_that_is_set_years_ahead_is_answered_at_once() {
    let table = nightly("* * * * *", "UTC", CatchUp::Skip);
    let turn = table.turn(at("1970-01-01T00:00:00Z"), None, at("2099-06-01T12:00:30Z"));
    let Turn::Begin { start, missed } = turn else { panic!("{turn:?}") };
    assert_eq!(start, at("2099-06-01T12:00:00Z"));
    assert_eq!(missed.to_string(), "1000 or more");
}

#[test]
fn a_delay_moves_the_start_and_not_the_day_of_the_gap() {
    let delay = Duration::from_mins(45);
    let table = Timetable::new(times("30 2 * * *", "Europe/Berlin"), delay, CatchUp::Skip);
    let mut moment = at("2026-03-28T00:00:00Z");
    let found: Vec<String> = std::iter::from_fn(|| {
        moment = table.next_after(moment)?;
        Some(table.local_text(moment))
    })
    .take(3)
    .collect();
    assert_eq!(
        found,
        ["2026-03-28T03:15:00+01:00", "2026-03-29T03:45:00+02:00", "2026-03-30T03:15:00+02:00"]
    );
}

#[test]
fn the_splay_is_the_hosts_own_and_stays() {
    let within = Duration::from_mins(30);
    let all: std::collections::BTreeSet<Duration> =
        (0..200).map(|host| splay(&format!("host-{host}"), "/var/lib/agent", within)).collect();
    assert!(all.len() > 150 && all.iter().all(|delay| *delay < within), "{all:?}");
    assert_eq!(
        splay("host-1", "/var/lib/agent", within),
        splay("host-1", "/var/lib/agent", within)
    );
    assert_ne!(splay("host-1", "/var/lib/agent", within), splay("host-1", "/srv/agent", within));
    for none in [Duration::ZERO, Duration::from_millis(999)] {
        assert_eq!(splay("host-1", "/var/lib/agent", none), Duration::ZERO);
    }
}
