//! What is said about a config that is wrong: the place, what would be right, the line.

use super::{assert_said, complaint, environment, first_line, parse};
use crate::config::{Config, ConfigError, Secrets};
use std::path::Path;

#[test]
fn an_unknown_key_is_shown_with_the_nearest_known_one() {
    insta::assert_snapshot!(complaint("# …\n\n[push]\nintervall = \"15s\""), @r#"
    agent.toml:4:1: unknown key `intervall` in [push]; did you mean `interval`? (known: `interval`, `attempt_timeout`, `deadline`, `retry`)
       4 | intervall = "15s"
         | ^^^^^^^^^
    "#);
}

#[test]
fn unknown_keys_are_found_in_inline_tables_and_arrays_of_tables() {
    assert_said(&[
        (
            "[push]\nretry = { initial = \"1s\", maximum = \"2s\" }",
            "2:27: unknown key `maximum` in [push.retry]; did you mean `max`? (known: `initial`, `max`, `multiplier`)",
        ),
        (
            "[audit]\nretention.baches = 3",
            "2:11: unknown key `baches` in [audit.retention]; did you mean `batches`? (known: `batches`, `age`, `bytes`)",
        ),
        (
            "[[gateway]]\nurl = \"http://a\"\n[[gateway]]\nurl = \"http://b\"\nfromat = \"text\"",
            "5:1: unknown key `fromat` in [[gateway]]; did you mean `format`? (known: `url`, `name`, `grouping`, `format`, `compression`, `basic`, `bearer`, `tls`)",
        ),
        (
            "[[gateway]]\nurl = \"http://a\"\n[gateway.tls]\nca = \"ca.pem\"",
            "4:1: unknown key `ca` in [gateway.tls]; did you mean `ca_file`? (known: `ca_file`, `cert_file`, `key_file`)",
        ),
        (
            "parameters = []",
            "1:1: unknown key `parameters` at the top level; did you mean `parameter`? (known: `data_dir`, `batch`, `strategies`, `parameter`, `constraint`, `variant`, `evaluator`, `evolution`, `promote`, `output`, `metrics`, `gateway`, `push`, `audit`, `schedule`)",
        ),
    ]);
}

#[test]
fn a_key_in_the_wrong_table_is_sent_home() {
    assert_said(&[
        (
            "[push]\nrounds = 3",
            "2:1: unknown key `rounds` in [push]; it belongs in [batch] (known here: `interval`, `attempt_timeout`, `deadline`, `retry`)",
        ),
        (
            "[push]\ndir = \"x\"",
            "2:1: unknown key `dir` in [push]; it belongs in [output] or [audit] (known here: `interval`, `attempt_timeout`, `deadline`, `retry`)",
        ),
        ("[output]\nzzz = 1\n", "2:1: unknown key `zzz` in [output]; known: `dir`, `keep`"),
    ]);
}

#[test]
fn a_value_of_another_type_is_answered_with_what_is_expected() {
    assert_said(&[
        (
            "[batch]\nrounds = \"ten\"",
            "2:10: `rounds` in [batch]: expected a whole number, found a string",
        ),
        (
            "[batch]\nrounds = 1.5",
            "2:10: `rounds` in [batch]: expected a whole number, found the number 1.5",
        ),
        (
            "[batch]\nseed = -1",
            "2:8: `seed` in [batch]: expected a whole number from 0 to 18446744073709551615, found the number -1",
        ),
        ("data_dir = 3", "1:12: `data_dir`: expected a string, found the number 3"),
        ("batch = true", "1:9: `batch`: expected a table, found the boolean true"),
        (
            "[gateway]\nurl = \"http://a\"",
            "1:1: `gateway`: expected an array of tables, so [[gateway]] with two brackets, found a table",
        ),
        ("gateway = [3]", "1:12: `gateway`: expected a table, found the number 3"),
        (
            "[audit]\ncompress = \"yes\"",
            "2:12: `compress` in [audit]: expected true or false, found a string",
        ),
        (
            "[audit]\ndir = 1979-05-27",
            "2:7: `dir` in [audit]: expected a string, found a date or time",
        ),
        (
            "[metrics]\nbuckets = [1, \"2\"]",
            "2:15: `buckets` in [metrics]: expected a number, found a string",
        ),
        (
            "[metrics]\nbuckets = 3",
            "2:11: `buckets` in [metrics]: expected an array, found the number 3",
        ),
        (
            "[push]\nretry = \"fast\"",
            "2:9: `retry` in [push]: expected a table like { initial = \"500ms\" }, found a string",
        ),
        (
            "[push]\ninterval = true",
            "2:12: `interval` in [push]: expected a duration with a unit, like \"30s\", found the boolean true",
        ),
        (
            "[[gateway]]\nurl = \"http://a\"\ngrouping = { shard = 1 }",
            "3:22: `shard` in [gateway.grouping]: expected a string, found the number 1",
        ),
        (
            "[[parameter]]\nname = \"a\"\nmin = \"1\"\nmax = 2",
            "3:7: `min` in [[parameter]]: expected a number, found a string",
        ),
    ]);
}

#[test]
fn what_is_not_toml_is_shown_where_the_parser_stopped() {
    insta::assert_snapshot!(complaint("[batch]\nrounds = = 3"), @"
    agent.toml:2:10: extra `=`, expected nothing
       2 | rounds = = 3
         |          ^
    ");
    assert_eq!(first_line("[batch]\nrounds = 1\nrounds = 2"), "3:1: duplicate key");
    assert_eq!(first_line("[batch"), "1:7: unclosed table, expected `]`");
}

#[test]
fn a_file_that_is_not_there_is_answered_with_what_to_do() {
    let error = Config::load(Path::new("/nowhere/agent.toml"), &environment(), Secrets::Needed)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no config file at /nowhere/agent.toml; copy agent.toml.example there, or name another with --config"
    );
}

#[test]
fn a_file_that_cannot_be_a_config_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    let load = |bytes: &[u8]| {
        super::write(&path, bytes);
        Config::load(&path, &environment(), Secrets::Needed).unwrap_err()
    };
    let not_utf8 = load(b"# ok\n# \xc3\xa9\xff\n");
    assert!(matches!(not_utf8, ConfigError::NotUtf8 { line: 2, column: 4, .. }), "{not_utf8}");
    assert!(matches!(load(&vec![b'#'; (1 << 20) + 1]), ConfigError::TooLong { .. }));
    let directory = Config::load(folder.path(), &environment(), Secrets::Needed).unwrap_err();
    assert!(matches!(directory, ConfigError::Unreadable { .. }), "{directory}");
}

#[test]
fn a_config_without_strategies_is_told_how_to_name_some() {
    for text in ["", "[strategies]\ninclude = []"] {
        let error = parse(text).unwrap_err();
        assert!(matches!(error, ConfigError::NoStrategies { .. }), "{error}");
        assert!(error.to_string().starts_with("agent.toml: no strategies: name at least one file"));
    }
}
