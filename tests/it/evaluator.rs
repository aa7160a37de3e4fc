//! Evaluators by way of the pool, with our own binary as the host of each worker.

use mutation_agent::evaluator::{Answer, Job, Mode, Pool, Settings, Verdict};
use mutation_agent::units::Number;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_mins(1);

fn sh(script: &str) -> Settings {
    let command = ["sh", "-c", script, "{candidate}"].map(ToOwned::to_owned).to_vec();
    Settings {
        command,
        mode: Mode::Process,
        timeout: LONG,
        workers: 1,
        memory: None,
        cpu: None,
        folder: std::env::temp_dir(),
    }
}

fn pool(settings: Settings) -> Pool {
    Pool::start(
        settings,
        "20261123T020000Z-7f3a9c",
        PathBuf::from(env!("CARGO_BIN_EXE_mutation-agent")),
    )
    .unwrap()
}

fn job(number: u64) -> Job {
    Job {
        number,
        mutation_id: format!("exit_mut_{number:06}"),
        strategy: "strategies/a.py".to_owned(),
        candidate: PathBuf::from("/nowhere/a b.py"),
        parameters: BTreeMap::from([("x".to_owned(), Number::Float(0.5))]),
        seed: 40 + number,
    }
}

fn one(settings: Settings) -> Answer {
    let mut pool = pool(settings);
    pool.submit(job(1));
    let answer = pool.next(LONG).unwrap();
    assert_eq!((answer.number, pool.in_flight()), (1, 0));
    assert_eq!(pool.next(LONG), None, "nothing in flight is not waited for");
    answer
}

fn fitness(value: f64) -> Verdict {
    Verdict::Fitness { fitness: value, metrics: BTreeMap::new() }
}

#[test]
fn the_last_line_of_a_process_is_its_fitness() {
    assert_eq!(one(sh("echo noise; echo 0.25; echo")).verdict, fitness(0.25));
}
