//! What a config says, and what it says where nothing is typed.

use super::{assert_same, complaint, config, environment, parse};
use crate::audit::Retention;
use crate::config::Config;
use crate::units::{Decimal, Kind};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = config("");
    assert_eq!(config.base, Path::new("."));
    assert_eq!(config.data_dir, Path::new("mutation-data"));
    assert_eq!(config.batch.job, "exit_evolution");
    assert_eq!((config.batch.rounds, config.batch.mutations_per_round), (10, 50));
    assert_eq!((config.batch.seed, config.batch.workers), (None, 0));
    assert_eq!(config.batch.deadline, Some(Duration::from_hours(6)));
    assert_eq!(config.batch.shutdown_timeout, Duration::from_secs(30));
    assert_eq!(config.output.dir, Path::new("evolved"));
    assert_eq!(config.output.keep, 10);
    assert_eq!(config.metrics.textfile, None);
    assert_eq!(config.metrics.buckets.seconds().len(), 22);
    assert_eq!(
        (config.metrics.buckets.seconds()[0], config.metrics.buckets.seconds()[21]),
        (1e-6, 10.0)
    );
    assert_eq!(config.push.interval, Duration::from_secs(15));
    assert_eq!(config.push.attempt_timeout, Duration::from_secs(10));
    assert_eq!(config.push.deadline, Duration::from_mins(2));
    assert_eq!(config.audit.dir, Path::new("mutation-data/audit"));
    assert_eq!((config.audit.buffer, config.audit.compress), (10, true));
    assert_eq!(config.audit.flush_interval, Duration::from_secs(1));
    let retention = Retention::new(400, Duration::from_hours(9600), 10 << 30).unwrap();
    assert_eq!(config.audit.retention, retention);
}

#[test]
fn the_default_parameters_are_those_of_the_design() {
    let config = config("");
    let shown: Vec<String> = config
        .parameters
        .iter()
        .map(|p| {
            let domain = p.mutator.domain();
            let (min, max) = domain.bounds();
            format!("{} {:?} {min}–{max} {}", p.name, domain.kind(), domain.step())
        })
        .collect();
    assert_eq!(
        shown,
        [
            "stop_loss_pct Float 0.01–0.2 0.001",
            "take_profit_pct Float 0.05–0.5 0.001",
            "trailing_stop_offset Float 0.005–0.05 0.001",
            "holding_period_days Int 1–60 1",
        ]
    );
}

#[test]
fn a_parameter_is_an_int_if_all_its_numbers_are_typed_as_ints() {
    let domain = |keys: &str| {
        let config = config(&format!("[[parameter]]\nname = \"a\"\n{keys}"));
        config.parameters[0].mutator.domain().clone()
    };
    assert_eq!(domain("min = 1\nmax = 60").kind(), Kind::Int);
    assert_eq!(domain("min = 1\nmax = 60\nstep = 5").step(), decimal("5"));
    assert_eq!(domain("min = 1\nmax = 60.0").kind(), Kind::Float);
    assert_eq!(domain("min = 1\nmax = 60\nstep = 0.5").kind(), Kind::Float);
    assert_eq!(domain("min = 1\nmax = 60\ntype = \"float\"").step(), decimal("0.001"));
    assert_eq!(domain("min = 1.0\nmax = 60.0\ntype = \"int\"").step(), decimal("1"));
}

#[test]
fn numbers_keep_the_value_that_was_typed() {
    let keys = "[[parameter]]\nname = \"a\"\nmin = 1e-3\nmax = 0.30\nstep = 0.000_1";
    let config = config(keys);
    let domain = config.parameters[0].mutator.domain();
    assert_eq!(domain.bounds(), (decimal("0.001"), decimal("0.3")));
    assert_eq!(domain.step(), decimal("0.0001"));
}

#[test]
fn relative_paths_are_relative_to_the_configs_folder() {
    let text = "data_dir = \"data\"\n[output]\ndir = \"/out\"\n[strategies]\ninclude = [\"*.py\"]";
    let config = Config::parse(text, Path::new("/etc/agent/a.toml"), &environment()).unwrap();
    assert_eq!(config.base, Path::new("/etc/agent"));
    assert_eq!(config.data_dir, Path::new("/etc/agent/data"));
    assert_eq!(config.audit.dir, Path::new("/etc/agent/data/audit"));
    assert_eq!(config.output.dir, Path::new("/out"));
}

#[test]
fn the_deadline_may_be_none() {
    assert_eq!(config("[batch]\ndeadline = \"none\"").batch.deadline, None);
}

#[test]
fn seeds_have_64_bits() {
    let seed = |text: &str| config(&format!("[batch]\nseed = {text}")).batch.seed;
    assert_eq!(seed("18446744073709551615"), Some(u64::MAX));
    assert_eq!(seed("0xffff_ffff_ffff_ffff"), Some(u64::MAX));
}

#[test]
fn a_short_deadline_shortens_the_default_of_what_must_fit_in_it() {
    let config = config("[push]\ndeadline = \"5s\"\nretry = { max = \"100ms\" }");
    assert_eq!(config.push.attempt_timeout, Duration::from_secs(5));
    assert_eq!(config.push.retry.initial(), Duration::from_millis(100));
}

#[test]
fn a_gateway_is_named_and_grouped_by_default() {
    let config = config("[[gateway]]\nurl = \"https://push.example/prefix/\"");
    assert_eq!(config.gateways[0].name(), "push.example:443");
    let typed = &config.typed_gateways[0];
    assert_eq!(typed.url, "https://push.example/prefix");
    assert_eq!(typed.labels, [("instance".to_owned(), "test-host".to_owned())]);
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn grouping_labels_keep_the_order_of_the_file() {
    let config = config(
        "[[gateway]]\nurl = \"http://[::1]\"\ngrouping = { z = \"1\", a = \"2\", m = \"3\" }",
    );
    let labels: Vec<&str> =
        config.typed_gateways[0].labels.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["z", "a", "m"]);
    assert_eq!(config.gateways[0].name(), "[::1]:80");
}

#[test]
fn metrics_that_nobody_will_see_are_warned_of() {
    assert_eq!(
        config("").warnings,
        ["no [[gateway]] and no `textfile` in [metrics]: nobody will see the metrics"]
    );
    assert_eq!(config("[metrics]\ntextfile = \"a.prom\"").warnings, Vec::<String>::new());
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let plain = config("data_dir = \"x\"");
    let windows = "\u{feff}data_dir = \"x\"\r\n[strategies]\r\ninclude = [\"*.py\"]\r\n";
    assert_same(&parse(windows).unwrap(), &plain);
    let complaint = complaint("\u{feff}data_dri = \"x\"");
    assert!(complaint.starts_with("agent.toml:1:1: unknown key `data_dri`"), "{complaint}");
}

const FULL: &str = r#"
data_dir = "../data \"quoted\" \\ \u00e9"
[batch]
job = "night \"shift\""
rounds = 3
mutations_per_round = 7
seed = 18446744073709551615
deadline = "none"
workers = 2
shutdown_timeout = "1m 30s"
[strategies]
include = ["a/*.py", "b/[!x]*.py"]
exclude = ["a/old-*.py"]
python = "3.13"
[[parameter]]
name = "roi"
target = "minimal_roi[\"60\"]"
min = -0.5
max = -0.25
step = 0.0005
operator = "lognormal"
bounds = "reflect"
weight = 2.5
occurrence = 3
[output]
dir = "."
keep = 0
[metrics]
textfile = "m/agent.prom"
buckets = [1e-7, 0.5, 3]
[[gateway]]
url = "http://127.0.0.1:9091/a"
grouping = {}
format = "text"
compression = "gzip"
[[gateway]]
url = "https://h"
name = "second"
grouping = { instance = "i/\u0001", "shard" = "" }
[[gateway]]
url = "https://h/api/v1/push/"
name = "third"
format = "remote_write"
[push]
interval = "1500ms"
attempt_timeout = "250us 1ms"
deadline = "1h"
retry = { initial = "1ms", max = "1d", multiplier = 1 }
[audit]
dir = "/var/log/agent"
buffer = 100
flush_interval = "2s"
retention = { batches = 1, age = "1h", bytes = "1048577B" }
compress = false
"#;

#[test]
fn the_printed_config_reads_back_as_the_same_config() {
    for text in ["[strategies]\ninclude = [\"*.py\"]", FULL] {
        for path in ["agent.toml", "/etc/agent/a.toml", "conf/a.toml", "./a.toml"] {
            let read = |text: &str| {
                Config::parse(text, Path::new(path), &environment())
                    .unwrap_or_else(|error| panic!("{error}"))
            };
            let config = read(text);
            assert_same(&read(&config.to_toml()), &config);
        }
    }
}

#[test]
fn the_printed_config_has_every_key_in_force() {
    let one = "[[parameter]]\nname = \"a\"\nmin = 1\nmax = 2\n";
    let printed = config(&format!("{one}[[gateway]]\nurl = \"http://127.0.0.1:9091\"")).to_toml();
    let keys = printed.lines().map(|line| line.split(" = ").next().unwrap_or(line));
    // Some operators have a `sigma`, some do not.
    let keys: Vec<&str> = keys.filter(|key| !key.is_empty() && *key != "sigma").collect();
    assert_eq!(
        keys.join(" "),
        "data_dir \
         [batch] job rounds mutations_per_round deadline workers shutdown_timeout \
         [strategies] include exclude python \
         [[parameter]] name target type min max step operator bounds weight \
         [evolution] survivors parameters_per_mutation memory [promote] min_improvement [output] dir keep \
         [metrics] buckets \
         [[gateway]] url name grouping format compression \
         [push] interval attempt_timeout deadline retry \
         [audit] dir buffer flush_interval retention compress"
    );
    assert!(printed.contains("\ngrouping = { instance = \"test-host\" }\n"), "{printed}");
    assert!(
        printed.contains("\nretention = { batches = 400, age = \"400d\", bytes = \"10GiB\" }\n")
    );
}

#[test]
fn the_digest_tells_configs_apart_and_not_where_they_lie() {
    let digest = |text: &str, path: &str| {
        let text = format!("{text}\n[strategies]\ninclude = [\"*.py\"]");
        Config::parse(&text, Path::new(path), &environment()).unwrap().digest()
    };
    assert_eq!(
        digest("", "agent.toml"),
        digest("# comment\ndata_dir = \"mutation-data\"", "/x/b.toml")
    );
    assert_ne!(digest("", "agent.toml"), digest("[batch]\nrounds = 11", "agent.toml"));
}

#[test]
fn what_the_command_line_overrides_is_printed_and_digested() {
    let mut overridden = config("");
    overridden.batch.rounds = 3;
    overridden.output.dir = PathBuf::from("elsewhere");
    assert!(overridden.to_toml().contains("rounds = 3\n"));
    assert_ne!(overridden.digest(), config("").digest());
}
