//! Every committed input of the fuzz targets, held to what its target demands, without a fuzzer: what was once found
//! stays found on any machine. A file that a fuzzer has found belongs into `fuzz/corpus/TARGET/` with its mend.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::duplicate_mod,
    reason = "targets fail by panicking, write their inputs plainly, and bring what they share"
)]

use std::path::Path;

#[path = "../fuzz/fuzz_targets/audit_line.rs"]
mod audit_line;
#[path = "../fuzz/fuzz_targets/config.rs"]
mod config;
#[path = "../fuzz/fuzz_targets/exposition.rs"]
mod exposition;
#[path = "../fuzz/fuzz_targets/gateway_answer.rs"]
mod gateway_answer;
#[path = "../fuzz/fuzz_targets/manifest.rs"]
mod manifest;
#[path = "../fuzz/fuzz_targets/old_line.rs"]
mod old_line;
#[path = "../fuzz/fuzz_targets/retry_after.rs"]
mod retry_after;
#[path = "../fuzz/fuzz_targets/selector.rs"]
mod selector;
#[path = "../fuzz/fuzz_targets/state.rs"]
mod state;
#[path = "../fuzz/fuzz_targets/strategy.rs"]
mod strategy;

/// Hands each input of a target to its law, and names the one that fails.
fn replay(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs: Vec<_> =
        std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 10, "{target} has {} inputs", inputs.len());
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        assert!(std::panic::catch_unwind(|| check(&bytes)).is_ok(), "see {}", input.display());
    }
}

#[test]
fn strategies_of_the_corpus() {
    replay("strategy", strategy::check);
}

#[test]
fn selectors_of_the_corpus() {
    replay("selector", selector::check);
}

#[test]
fn configs_of_the_corpus() {
    replay("config", config::check);
}

#[test]
fn audit_lines_of_the_corpus() {
    replay("audit_line", audit_line::check);
}

#[test]
fn manifests_of_the_corpus() {
    replay("manifest", manifest::check);
}

#[test]
fn states_of_the_corpus() {
    replay("state", state::check);
}

#[test]
fn lines_of_old_logs_of_the_corpus() {
    replay("old_line", old_line::check);
}

#[test]
fn retry_afters_of_the_corpus() {
    replay("retry_after", retry_after::check);
}

#[test]
fn gateway_answers_of_the_corpus() {
    replay("gateway_answer", gateway_answer::check);
}

#[test]
fn expositions_of_the_corpus() {
    replay("exposition", exposition::check);
}
