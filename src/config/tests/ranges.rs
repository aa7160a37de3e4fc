//! Values that do not make sense are refused where they stand, with what would.

use super::{assert_said, config, first_line};

#[test]
fn durations_and_sizes_need_a_unit_and_a_sensible_value() {
    assert_said(&[
        (
            "[push]\ninterval = 30",
            "2:12: `interval` in [push]: a duration needs a unit: `30` might be `\"30s\"`",
        ),
        (
            "[push]\ninterval = \"30\"",
            "2:12: `interval` in [push]: `30` is no duration; write a number and a unit, like \"30s\", \"500ms\", \"6h\" or \"400d\"",
        ),
        ("[push]\ninterval = \"0s\"", "2:12: `interval` must be at least 100ms, not 0s"),
        ("[push]\ninterval = \"200y\"", "2:12: `interval` is longer than 100 years"),
        ("[batch]\ndeadline = \"0s\"", "2:12: `deadline` must be at least 1ms, not 0s"),
        (
            "[batch]\nshutdown_timeout = \"0s\"",
            "2:20: `shutdown_timeout` must be at least 1ms, not 0s",
        ),
        ("[audit]\nflush_interval = \"0s\"", "2:18: `flush_interval` must be at least 1ms, not 0s"),
        ("[audit]\nretention = { age = \"1m\" }", "2:21: `age` must be at least 1h, not 1m"),
        (
            "[audit]\nretention = { bytes = \"10kB\" }",
            "2:23: `bytes` must be at least 1MiB, not 10000B",
        ),
        (
            "[audit]\nretention = { bytes = 10 }",
            "2:23: `bytes` in [audit.retention]: a size needs a unit: `10` might be `\"10GiB\"`",
        ),
    ]);
}

#[test]
fn push_times_must_fit_each_other() {
    assert_said(&[
        (
            "[push]\nattempt_timeout = \"3m\"",
            "2:19: `attempt_timeout` (3m) must be at most `deadline` (2m), which is for all attempts",
        ),
        (
            "[push]\nretry = { initial = \"1m\" }",
            "2:21: `initial` must be more than 0 and at most `max`",
        ),
        (
            "[push]\nretry = { multiplier = 0.5 }",
            "2:24: `multiplier` must be a number from 1 to 100",
        ),
        (
            "[push]\nretry = { multiplier = nan }",
            "2:24: `multiplier` must be a number from 1 to 100",
        ),
    ]);
}

#[test]
fn whole_numbers_stay_within_their_ranges() {
    assert_said(&[
        ("[batch]\nrounds = 0", "2:10: `rounds` must be a whole number from 1 to 1000000, not 0"),
        (
            "[batch]\nmutations_per_round = 1_000_001",
            "2:23: `mutations_per_round` must be a whole number from 1 to 1000000, not 1000001",
        ),
        ("[batch]\nworkers = -1", "2:11: `workers` must be a whole number from 0 to 1024, not -1"),
        ("[output]\nkeep = -1", "2:8: `keep` must be a whole number from 0 to 100000, not -1"),
        ("[audit]\nbuffer = 0", "2:10: `buffer` must be a whole number from 1 to 100000, not 0"),
        (
            "[audit]\nretention.batches = 0",
            "2:21: `batches` must be a whole number from 1 to 1000000, not 0",
        ),
    ]);
}

#[test]
fn paths_and_buckets_are_checked() {
    assert_said(&[
        ("data_dir = \"\"", "1:12: `data_dir` must not be empty"),
        ("data_dir = \"a\\u0000b\"", "1:12: `data_dir` must not hold control characters"),
        (
            "[metrics]\ntextfile = \"agent.txt\"",
            "2:12: `textfile` must end in .prom, or node_exporter will not read it",
        ),
        ("[metrics]\nbuckets = []", "2:11: a histogram needs 1 to 100 buckets, not 0"),
        ("[metrics]\nbuckets = [1, 2, 2]", "2:18: buckets must increase: 2 comes after 2"),
        (
            "[metrics]\nbuckets = [0.0, 1]",
            "2:12: a bucket must be a number of seconds from 1e-9 to 1e6, not 0",
        ),
        (
            "[metrics]\nbuckets = [1, inf]",
            "2:15: a bucket must be a number of seconds from 1e-9 to 1e6, not inf",
        ),
    ]);
}

#[test]
fn parameters_are_checked() {
    let text = |keys: &str| format!("[[parameter]]\nname = \"a\"\nmin = 1\nmax = 2\n{keys}");
    let cases = [
        (
            text("type = \"integer\""),
            "5:8: `type` cannot be `integer`; did you mean `int`? (known: `float`, `int`)",
        ),
        (
            text("operator = \"gausian\""),
            "5:12: `operator` cannot be `gausian`; did you mean `gaussian`? (known: `lognormal`, `gaussian`, `polynomial`, `uniform`, `compat-gaussian`)",
        ),
        (
            text("bounds = \"wrap\""),
            "5:10: `bounds` cannot be `wrap`; known: `reflect`, `resample`, `clamp`",
        ),
        (text("step = 0"), "5:8: `step` must be more than 0, not 0"),
        (
            text("type = \"int\"\nstep = 0.5"),
            "6:8: `step` is not whole, and the `type` is \"int\": 0.5",
        ),
        (text("weight = 0"), "5:10: `weight` must be a number from 0.000001 to 1000000, not 0"),
        (text("weight = nan"), "5:10: `weight` must be a number from 0.000001 to 1000000, not NaN"),
        (
            text("occurrence = 0"),
            "5:14: `occurrence` must be a whole number from 1 to 1000000, not 0",
        ),
        (
            text("[[parameter]]\nname = \"a\"\nmin = 1\nmax = 2"),
            "6:8: a parameter `a` is already there, on line 2",
        ),
        (text("[[parameter]]\nname = \"b\"\nmin = 1"), "5:1: [[parameter]] needs the key `max`"),
        (
            "parameter = [{ min = 1, max = 2 }]".to_owned(),
            "1:14: [[parameter]] needs the key `name`",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(first_line(&text), expected, "about:\n{text}");
    }
}

#[test]
fn bounds_in_the_wrong_order_are_shown_with_both_values_and_lines() {
    let bounds =
        |min, max| first_line(&format!("[[parameter]]\nname = \"a\"\nmax = {max}\nmin = {min}"));
    assert_eq!(
        bounds("0.2", "0.1"),
        "4:7: `min` (0.2, line 4) must be less than `max` (0.1, line 3)"
    );
    assert_eq!(bounds("5", "5"), "4:7: `min` (5, line 4) must be less than `max` (5, line 3)");
}

#[test]
fn bounds_must_be_finite_and_exact() {
    let min = |min| first_line(&format!("[[parameter]]\nname = \"a\"\nmin = {min}\nmax = 2.0"));
    assert_eq!(min("nan"), "3:7: `min` is not a finite number: NaN");
    assert_eq!(min("-inf"), "3:7: `min` is not a finite number: -inf");
    assert_eq!(
        min("-9007199254740993"),
        "3:7: `min` has more digits than a double can hold: -9007199254740993"
    );
    assert_eq!(
        min("1e-20"),
        "3:7: `min` has more digits than a double can hold, or more than 18 decimals: 1e-20"
    );
}

#[test]
fn names_are_printable_and_short() {
    let name = |name: &str| first_line(&format!("[[parameter]]\nname = {name}\nmin = 1\nmax = 2"));
    assert_eq!(name("\"\""), "2:8: `name` must not be empty");
    assert_eq!(name("\" \""), "2:8: `name` must not be empty");
    assert_eq!(name("\"a \""), "2:8: `name` must not begin or end with a space");
    assert_eq!(name("\"a\\nb\""), "2:8: `name` must not hold control characters");
    assert_eq!(
        name(&format!("{:?}", "é".repeat(129))),
        "2:8: `name` must have at most 128 characters"
    );
    assert_eq!(first_line("[batch]\njob = \"\""), "2:7: `job` must not be empty");
}

#[test]
fn gateways_are_checked() {
    let url = |url: &str| first_line(&format!("[[gateway]]\nurl = \"{url}\""));
    assert_eq!(first_line("[[gateway]]"), "1:1: [[gateway]] needs the key `url`");
    assert_eq!(url("localhost:9091"), "2:7: `url` must start with http:// or https://");
    assert_eq!(url("ftp://h"), "2:7: `url` must start with http:// or https://");
    assert_eq!(url("http://"), "2:7: `url` is no URL (empty host); write http://HOST:PORT");
    assert_eq!(
        url("http://h:99999"),
        "2:7: `url` is no URL (invalid port number); write http://HOST:PORT"
    );
    assert_eq!(url("http://h/ x"), "2:7: `url` must not contain blanks or control characters");
    assert_eq!(url("http://h/?a=b"), "2:7: `url` must not have a query or a fragment (`?`, `#`)");
    assert_eq!(url("http://h/#a"), "2:7: `url` must not have a query or a fragment (`?`, `#`)");
    assert_eq!(
        url("http://h/metrics/job/x"),
        "2:7: `url` must be the gateway's base; leave out /metrics/job/… (`job` and `grouping` say it)"
    );
    assert_eq!(
        first_line("[[gateway]]\nurl = \"http://h\"\n[[gateway]]\nurl = \"http://h:80/\""),
        "4:7: a gateway `h:80` is already there; give this one another `name`"
    );
    assert_eq!(
        first_line("[[gateway]]\nurl = \"http://h\"\nformat = \"txt\""),
        "3:10: `format` cannot be `txt`; did you mean `text`? (known: `protobuf`, `text`, `remote_write`)"
    );
}

#[test]
fn remote_write_has_an_endpoint_and_no_choice_of_compression() {
    let remote = |url: &str, more: &str| {
        first_line(&format!("[[gateway]]\nformat = \"remote_write\"\nurl = \"{url}\"\n{more}"))
    };
    for base in ["http://h:9090", "http://h/metrics/job/x"] {
        assert_eq!(
            remote(base, ""),
            "3:7: `url` must be the whole endpoint of remote write, such as http://HOST:9090/api/v1/write"
        );
    }
    for compression in ["gzip", "none"] {
        assert_eq!(
            remote("http://h/api/v1/write", &format!("compression = \"{compression}\"")),
            "4:15: `compression` must be left out: remote write is always packed, with snappy"
        );
    }
    assert_eq!(
        first_line("[[gateway]]\nurl = \"http://h/api/v1/write\""),
        "2:7: `url` is an endpoint of remote write: add `format = \"remote_write\"`"
    );
    let twice = |more: &str| {
        let one = "[[gateway]]\nformat = \"remote_write\"\nurl = \"http://h/api/v1/write\"\n";
        format!("{one}{one}name = \"second\"\n{more}")
    };
    assert_eq!(
        first_line(&twice("")),
        "6:7: the gateway `h:80` writes the same series there; give this one another `grouping`"
    );
    config(&twice("grouping = { shard = \"b\" }"));
}

#[test]
fn a_host_that_is_too_long_for_a_name_asks_for_one() {
    let gateway = format!("[[gateway]]\nurl = \"http://{}\"", "a".repeat(130));
    assert_eq!(
        first_line(&gateway),
        "2:7: the host is too long for the name of a gateway; give it a `name`"
    );
    config(&format!("{gateway}\nname = \"a\""));
}

#[test]
fn there_are_no_more_tables_than_anyone_types() {
    let many = |header: &str, keys: &str, count: usize| {
        let table = |n: usize| format!("{header}\n{}\n", keys.replace('#', &n.to_string()));
        (0..count).map(table).collect::<String>()
    };
    let gateways = many("[[gateway]]", "url = \"http://h#\"", 33);
    assert_eq!(first_line(&gateways), "65:1: more than 32 [[gateway]]");
    let parameters = many("[[parameter]]", "name = \"p#\"\nmin = 1\nmax = 2", 1001);
    assert_eq!(first_line(&parameters), "4001:1: more than 1000 [[parameter]]");
}
