//! `[schedule]`.

use super::{assert_said, assert_same, config, environment, parse};
use crate::config::{Config, Environment, Secrets};
use std::path::Path;
use std::time::Duration;

#[test]
fn without_the_table_there_is_no_schedule() {
    assert!(config("").schedule.is_none());
    assert!(!config("").to_toml().contains("[schedule]"));
}

#[test]
fn a_schedule_is_in_utc_skips_and_has_no_splay_unless_it_says_so() {
    let plain = config("[schedule]\ncron = \"0 2 * * *\"");
    let typed = config(
        "[schedule]\ncron = \"0 2 * * *\"\ntime_zone = \"UTC\"\ncatch_up = \"skip\"\ncatch_up_deadline = \"6h\"\nsplay = \"0s\"",
    );
    assert_same(&plain, &typed);
}

#[test]
fn a_schedule_is_printed_as_it_reads_back() {
    let text = "[schedule]\ncron = \"*/20 2,14 * * mon-FRI\"\ntime_zone = \"Australia/Lord_Howe\"\ncatch_up = \"once\"\ncatch_up_deadline = \"90m\"\nsplay = \"30m\"";
    let typed = config(text);
    let printed = typed.to_toml();
    assert!(printed.ends_with(&format!("\n{text}\n")), "{printed}");
    assert_same(&parse(&printed).unwrap(), &typed);
    assert_ne!(typed.digest(), config("").digest());
}

#[test]
fn a_schedule_that_cannot_be_is_refused_with_its_place() {
    assert_said(&[
        ("[schedule]", "1:1: [schedule] needs the key `cron`"),
        (
            "[schedule]\ncron = \"0 2 * *\"",
            "2:8: `cron`: needs five fields (minute, hour, day of month, month, day of week), as in \"0 2 * * *\", not 4",
        ),
        (
            "[schedule]\ncron = \"0 25 * * *\"",
            "2:8: `cron`: the hour cannot be `25`: it takes 0 to 23, lists like `1,5`, ranges like `1-5`, steps like `*/5`, or `*`",
        ),
        (
            "[schedule]\ncron = \"0 2 31 2 *\"",
            "2:8: `cron`: `0 2 31 2 *` never comes: no such month has such a day",
        ),
        (
            "[schedule]\ncron = \"0 2 * * *\"\ntime_zone = \"Europe/Berln\"",
            "3:13: `time_zone` cannot be `Europe/Berln`: did you mean `Europe/Berlin`?",
        ),
        (
            "[schedule]\ncron = \"0 2 * * *\"\ntime_zone = \"../../etc/shadow-of-it\"",
            "3:13: `time_zone` cannot be `../../etc/shadow-of-it`: write its IANA name, as \"Europe/Berlin\" or \"UTC\"",
        ),
        (
            "[schedule]\ncron = \"0 2 * * *\"\ncatch_up = \"twice\"",
            "3:12: `catch_up` cannot be `twice`; known: `skip`, `once`",
        ),
        (
            "[schedule]\ncron = \"0 2 * * *\"\ncatch_up_deadline = \"0s\"",
            "3:21: `catch_up_deadline` must be at least 1s, not 0s",
        ),
    ]);
}

#[test]
fn hosts_begin_at_times_of_their_own() {
    let text =
        "[strategies]\ninclude = [\"*.py\"]\n[schedule]\ncron = \"0 2 * * *\"\nsplay = \"1h\"\n";
    let starts: std::collections::BTreeSet<_> = (0..20)
        .map(|host| {
            let environment = Environment { host_name: format!("host-{host}"), ..environment() };
            let path = Path::new("agent.toml");
            let config = Config::parse_with(text, path, &environment, Secrets::Here).unwrap();
            let timetable = config.schedule.unwrap().timetable;
            let due = "2026-11-28T02:00:00Z".parse::<crate::units::Timestamp>().unwrap();
            let start = timetable.next_after(due.minus(Duration::from_secs(1))).unwrap();
            assert!(start.since(due) < Duration::from_hours(1));
            start
        })
        .collect();
    assert!(starts.len() > 15, "{starts:?}");
}
