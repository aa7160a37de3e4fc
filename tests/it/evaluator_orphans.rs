//! Whoever dies, and whenever: no process of an evaluator outlives the agent.

use crate::evaluator::{LONG, Workers, fitness, job, metric, sh, with_variable};
use crate::story::wait_until;
use mutation_agent::evaluator::{Mode, Pool, Settings, Verdict};
use rustix::process::{Pid, Signal};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What all that a driver starts inherits.
const MARK: &str = "EVALUATOR_TEST_MARK";

/// In which mode, and what a driver's evaluators do.
const MODE: &str = "EVALUATOR_TEST_MODE";
const SCRIPT: &str = "EVALUATOR_TEST_SCRIPT";

/// Not a test but the agent in those below: it has evaluations made without end, and says when one has.
#[test]
#[ignore = "the tests in this file start it, to kill it"]
fn driver() {
    let Ok(script) = std::env::var(SCRIPT) else { return };
    let mut settings = sh(&script);
    settings.workers = 4;
    settings.timeout = Duration::from_millis(400);
    if std::env::var(MODE).unwrap() == "stream" {
        settings.mode = Mode::Stream;
        settings.command.truncate(3);
    }
    settings.folder = std::env::current_dir().unwrap();
    let host = PathBuf::from(env!("CARGO_BIN_EXE_mutation-agent"));
    let mut pool = Pool::start(settings, "driven", host).unwrap();
    for number in 0.. {
        while pool.in_flight() < 8 {
            pool.submit(job(number));
        }
        let answer = pool.next(LONG).unwrap();
        eprintln!("{:?}", answer.verdict);
    }
}

/// Not a test but what an evaluator leaves behind in those below: a daemon in a session of its own.
#[test]
#[ignore = "the tests in this file start it, to find it again"]
fn escapee() {
    let Ok(seed) = std::env::var("SEED") else { return };
    rustix::process::setsid().unwrap();
    std::fs::write(format!("escaped-{seed}"), "").unwrap();
    loop {
        std::thread::park();
    }
}

/// An evaluator that lets a daemon escape, which ignores SIGTERM, and then does something.
fn escaping(then: &str) -> String {
    let exe = std::env::current_exe().unwrap();
    let exe = exe.display();
    format!(
        "(trap '' TERM; exec {exe} evaluator_orphans::escapee --exact --ignored >/dev/null 2>&1) &
        until [ -e escaped-$SEED ]; do sleep 0.01; done; {then}"
    )
}

struct Driver {
    child: Child,
    mark: String,
}

impl Driver {
    fn start(mode: &str, script: &str, number: u32, folder: &Path) -> Self {
        let mark = format!("{}-{mode}-{number}", std::process::id());
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["evaluator_orphans::driver", "--exact", "--ignored", "--nocapture"])
            .env(MARK, &mark)
            .env(MODE, mode)
            .env(SCRIPT, script)
            .env("NOTIFY_SOCKET", "@nobody")
            .env("WATCHDOG_USEC", "1")
            .env("CREDENTIALS_DIRECTORY", "/nowhere")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        Self { child, mark }
    }

    fn processes(&self) -> Vec<String> {
        with_variable(&format!("{MARK}={}", self.mark))
    }

    /// SIGKILL; then everything is gone within the grace.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let began = Instant::now();
        wait_until("nothing is left", || self.processes().is_empty());
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
}

/// Kills an agent after ever longer times, from its very start on.
fn killed_at_many_instants(mode: &str, script: &str, instants: u32, step: Duration) {
    for number in 0..instants {
        let driver = Driver::start(mode, script, number, &std::env::temp_dir());
        // No condition to wait for: any instant is meant.
        std::thread::sleep(step * number);
        driver.kill();
    }
}

#[test]
fn an_agent_that_is_killed_at_any_instant_leaves_nothing_running() {
    killed_at_many_instants(
        "process",
        "sleep 0.01 & sleep 1000 & echo 1",
        40,
        Duration::from_millis(1),
    );
    killed_at_many_instants("process", "sleep 1000", 20, Duration::from_millis(9));
}

#[test]
fn an_agent_that_is_killed_leaves_no_stream_worker() {
    killed_at_many_instants("stream", "sleep 1000 & cat >/dev/null", 20, Duration::from_millis(7));
}

#[test]
fn an_agent_that_is_killed_leaves_nobody_who_ignores_sigterm() {
    killed_at_many_instants(
        "process",
        "trap '' TERM; (sleep 1000; sleep 1000) & wait; sleep 1000",
        4,
        Duration::from_millis(60),
    );
}

#[test]
fn a_daemon_does_not_outlive_the_evaluation() {
    for (then, expected) in [
        ("echo 1", "Fitness"),
        ("exit 1", "Failed"),
        ("sleep 1000", "Timeout"),
        ("kill -KILL $PPID", "host ended"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = sh(&escaping(then));
        settings.folder = folder.path().to_owned();
        settings.timeout = Duration::from_secs(if expected == "Timeout" { 1 } else { 60 });
        let mut workers = Workers::start(settings);
        let answer = workers.judge(1);
        assert!(format!("{:?}", answer.verdict).contains(expected), "{answer:?}");
        assert!(folder.path().join("escaped-41").exists(), "there was a daemon");
        assert_eq!(workers.processes(), [""; 0], "{then}");
    }
}

#[test]
fn a_daemon_does_not_outlive_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let driver = Driver::start("process", &escaping("sleep 1000"), 2000, folder.path());
    wait_until("a daemon has escaped", || std::fs::read_dir(folder.path()).unwrap().count() > 0);
    driver.kill();
}

#[test]
fn the_agents_business_with_its_service_manager_is_not_passed_on() {
    let script = "echo \"{\\\"fitness\\\": 1, \\\"metrics\\\": {\\\"x${NOTIFY_SOCKET}y${WATCHDOG_USEC}z$CREDENTIALS_DIRECTORY\\\": 1}}\"";
    let mut driver = Driver::start("process", script, 1000, &std::env::temp_dir());
    let mut said = BufReader::new(driver.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("fitness") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "the driver says something");
    }
    assert!(line.contains("\"xyz\": 1.0"), "{line}");
    driver.kill();
}

#[test]
fn a_host_that_is_killed_costs_one_evaluation_and_leaves_nothing() {
    let script = "if [ $SEED = 42 ]; then sleep 1000 & kill -KILL $PPID; sleep 1000; fi; echo 1";
    let mut workers = Workers::start(sh(script));
    assert_eq!(workers.judge(1).verdict, fitness(1.0));
    let text = "the evaluator's host ended: killed by signal 9";
    assert_eq!(workers.judge(2).verdict, Verdict::Failed(text.to_owned()));
    assert_eq!(workers.processes(), [""; 0]);
    assert_eq!(workers.judge(3).verdict, fitness(1.0));
}

#[test]
fn a_host_that_is_killed_while_idle_costs_nothing() {
    let mut workers =
        Workers::start(sh("echo \"{\\\"fitness\\\": 1, \\\"metrics\\\": {\\\"host\\\": $PPID}}\""));
    let host = i32::try_from(metric(&workers.judge(1), "host")).unwrap();
    rustix::process::kill_process(Pid::from_raw(host).unwrap(), Signal::KILL).unwrap();
    // A zombie until the pool looks for it.
    let stat = format!("/proc/{host}/stat");
    wait_until("it has ended", || std::fs::read_to_string(&stat).unwrap().contains(") Z "));
    assert_ne!(i32::try_from(metric(&workers.judge(2), "host")).unwrap(), host);
}

#[test]
fn a_host_that_stands_still_is_ended() {
    let mut settings: Settings = sh("kill -STOP $PPID; sleep 1000");
    settings.timeout = Duration::from_millis(100);
    let mut workers = Workers::start(settings);
    let answer = workers.judge(1);
    let text = "the evaluator's host did not come up";
    assert!(!format!("{:?}", answer.verdict).contains(text), "{answer:?}");
    assert!(matches!(answer.verdict, Verdict::Timeout(_)), "{answer:?}");
    assert_eq!(workers.processes(), [""; 0]);
}

#[test]
fn a_terminals_and_a_service_managers_signals_do_not_end_a_host() {
    let script = "kill -INT $PPID; kill -TERM $PPID; kill -HUP $PPID; kill -QUIT $PPID
        read -r _ _ _ _ group session _ < /proc/$PPID/stat
        trap 'echo \"{\\\"fitness\\\": 1, \\\"metrics\\\": {\\\"host\\\": $PPID, \\\"group\\\": $group, \\\"session\\\": $session}}\"; exit' TERM
        kill -TERM $$";
    let mut workers = Workers::start(sh(script));
    let answer = workers.judge(1);
    assert_eq!(metric(&answer, "host"), metric(&answer, "session"), "a session of its own");
    assert_eq!(metric(&answer, "host"), metric(&answer, "group"));
    assert_eq!(metric(&workers.judge(2), "host"), metric(&answer, "host"), "still the same");
}
