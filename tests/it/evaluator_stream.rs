//! Evaluators that are started once and fed a line per candidate.

use crate::evaluator::{LONG, Workers, metric, settings};
use mutation_agent::evaluator::{Mode, Settings, Verdict};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A worker in shell: for each request, `$id` is its id, `$number` counts from 1, and `answer FITNESS` answers.
fn worker(each: &str) -> Settings {
    let script = format!(
        "number=0
        answer() {{ echo \"{{\\\"id\\\": \\\"$id\\\", \\\"fitness\\\": $1, \\\"metrics\\\": {{\\\"pid\\\": $$}}}}\"; }}
        while read -r line; do
            id=${{line#*'\"id\":\"'}}; id=${{id%%'\"'*}}; number=$((number+1))
            {each}
        done"
    );
    settings(Mode::Stream, &["sh", "-c", &script])
}

/// Three jobs of which the second one goes wrong in the first worker; returns what it cost.
fn second_goes_wrong(each: &str, timeout: Duration) -> Verdict {
    let mut settings =
        worker(&format!("if [ $id = exit_mut_000002 ]; then {each}; else answer $number; fi"));
    settings.timeout = timeout;
    let mut workers = Workers::start(settings);
    let first = workers.judge(1);
    let second = workers.judge(2);
    assert_eq!(workers.processes(), [""; 0], "what went wrong is ended: {second:?}");
    let third = workers.judge(3);
    let fourth = workers.judge(4);
    assert_ne!(metric(&first, "pid"), metric(&third, "pid"), "another worker");
    assert_eq!(metric(&third, "pid"), metric(&fourth, "pid"), "which stays");
    assert!(matches!(fourth.verdict, Verdict::Fitness { fitness: 2.0, .. }), "{fourth:?}");
    second.verdict
}

#[test]
fn a_worker_is_started_once_and_told_everything() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = worker("echo \"$line\" >> requests; answer $number");
    settings.folder = folder.path().to_owned();
    let mut workers = Workers::start(settings);
    let pids: Vec<i64> = (1..=100).map(|number| metric(&workers.judge(number), "pid")).collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "one worker for all");
    let requests = fs::read_to_string(folder.path().join("requests")).unwrap();
    assert_eq!(
        requests.lines().next().unwrap(),
        "{\"id\":\"exit_mut_000001\",\"candidate\":\"/nowhere/a b.py\",\"strategy\":\"strategies/a.py\",\
         \"parameters\":{\"n\":3,\"x\":0.5},\"seed\":41}"
    );
    assert_eq!(requests.lines().count(), 100);
    assert_eq!(workers.processes().len(), 1);
    let batch = workers.batch;
    workers.pool.stop();
    assert_eq!(crate::evaluator::with_variable(&format!("BATCH_ID={batch}")), [""; 0]);
}

#[test]
fn an_error_is_a_failure_and_costs_no_restart() {
    let mut workers = Workers::start(worker(
        "if [ $number = 1 ]; then echo \"{\\\"id\\\": \\\"$id\\\", \\\"error\\\": \\\"no data\\\"}\"; else answer $number; fi",
    ));
    assert_eq!(workers.judge(1).verdict, Verdict::Failed("no data".to_owned()));
    assert!(matches!(workers.judge(2).verdict, Verdict::Fitness { fitness: 2.0, .. }));
}

#[test]
fn a_crash_costs_one_evaluation() {
    let verdict = second_goes_wrong("echo lost it >&2; exit 7", LONG);
    let text = "the worker ended without an answer, exit code 7: lost it";
    assert_eq!(verdict, Verdict::Failed(text.to_owned()));
}

#[test]
fn a_closed_output_costs_one_evaluation() {
    let Verdict::Failed(text) = second_goes_wrong("exec >&-; sleep 1000", LONG) else { panic!() };
    assert!(text.starts_with("the worker closed its standard output, killed by SIGTERM"), "{text}");
}

#[test]
fn a_hang_costs_one_evaluation() {
    let verdict = second_goes_wrong("echo thinking >&2; sleep 1000", Duration::from_secs(2));
    assert_eq!(verdict, Verdict::Timeout("no answer within 2s: thinking".to_owned()));
}

#[test]
fn garbage_costs_one_evaluation() {
    for (each, found) in [
        ("echo loading data", "write logs to stderr"),
        ("echo 1.5", "no JSON object"),
        ("id=other; answer 1", "the request's id is `exit_mut_000002`"),
        ("answer NaN", "no NaN"),
        ("answer null", "`fitness` is no number"),
        ("head -c 100000 /dev/zero | tr '\\\\0' x; sleep 1000", "more than 64 KiB"),
    ] {
        let Verdict::Invalid(text) = second_goes_wrong(each, LONG) else { panic!("{each}") };
        assert!(text.contains(found), "{each}: {text}");
    }
}

#[test]
fn a_worker_that_does_not_come_up_is_started_less_and_less_often() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings =
        settings(Mode::Stream, &["sh", "-c", "echo >> starts; echo no pandas >&2; exit 1"]);
    settings.folder = folder.path().to_owned();
    let mut workers = Workers::start(settings);
    let began = Instant::now();
    for number in 1..=5 {
        let answer = workers.judge(number);
        let text = "the worker ended without an answer, exit code 1: no pandas";
        assert_eq!(answer.verdict, Verdict::Failed(text.to_owned()));
        assert!(
            answer.took < Duration::from_millis(400),
            "the wait is not the evaluation's: {:?}",
            answer.took
        );
    }
    // 100 + 200 + 400 + 800 ms between five starts.
    assert!(began.elapsed() >= Duration::from_millis(1500), "{:?}", began.elapsed());
    assert_eq!(fs::read_to_string(folder.path().join("starts")).unwrap().lines().count(), 5);
}

#[test]
fn a_worker_that_talks_while_idle_or_reads_late_is_not_held_up() {
    // Each answer is followed by more than a pipe holds on stderr, and requests are read in their own time.
    let mut workers = Workers::start(worker("answer $number; head -c 300000 /dev/zero >&2"));
    for number in 1..=20 {
        assert!(matches!(workers.judge(number).verdict, Verdict::Fitness { .. }));
    }
    let mut settings = settings(Mode::Stream, &["sh", "-c", "sleep 1000"]);
    settings.timeout = Duration::from_millis(300);
    let mut workers = Workers::start(settings);
    let mut job = crate::evaluator::job(1);
    // More than a pipe holds.
    job.strategy = "x".repeat(1 << 20);
    workers.pool.submit(job);
    assert!(matches!(workers.pool.next(LONG).unwrap().verdict, Verdict::Timeout(_)));
}

#[test]
fn a_stream_has_its_processor_time_for_each_evaluation() {
    let mut settings = worker(
        // Half a second of processor time each, in the clock ticks that proc(5) has: together more than the limit.
        "if [ $number = 5 ]; then while :; do :; done; fi
        ticks() { read -r stat < /proc/$$/stat; set -- $stat; ticks=$((${14} + ${15})); }
        ticks; until=$((ticks + 50)); while [ $ticks -lt $until ]; do ticks; done; answer $number",
    );
    settings.cpu = Some(Duration::from_secs(1));
    let mut workers = Workers::start(settings);
    for number in 1..=4 {
        assert!(matches!(workers.judge(number).verdict, Verdict::Fitness { .. }));
    }
    let Verdict::Failed(text) = workers.judge(5).verdict else { panic!("endless") };
    assert!(text.contains("SIGXCPU: the limit of 1s processor time"), "{text}");
}

#[test]
fn what_ends_below_a_worker_is_reaped_while_it_goes_on() {
    let mut settings = worker(
        "(true & true &); read -r children < /proc/$PPID/task/$PPID/children; set -- $children; answer $#",
    );
    settings.timeout = LONG;
    let mut workers = Workers::start(settings);
    for number in 0..100 {
        let Verdict::Fitness { fitness, .. } = workers.judge(number).verdict else {
            panic!("{number}")
        };
        assert!(fitness < 20.0, "{fitness} children after {number}");
    }
}

#[test]
fn a_worker_that_ends_while_idle_costs_nothing() {
    // It ends by itself a moment after its answer; which has to be seen before it is asked again.
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("echo $$ >{}; answer $number; exit 0", pid.display());
    let mut workers = Workers::start(worker(&script));
    for number in 0..3 {
        assert!(matches!(workers.judge(number).verdict, Verdict::Fitness { fitness: 1.0, .. }));
        // Its memory is gone before its pipes are closed: it has ended for its host when that has buried it.
        let process = Path::new("/proc").join(fs::read_to_string(&pid).unwrap().trim());
        crate::story::wait_until("it is buried", || !process.exists());
    }
}

#[test]
fn many_answers_come_from_many_workers() {
    let mut settings = worker("answer $number");
    settings.workers = 8;
    let mut workers = Workers::start(settings);
    (0..4000).for_each(|number| workers.pool.submit(crate::evaluator::job(number)));
    let mut answers = 0;
    while let Some(answer) = workers.pool.next(LONG) {
        assert!(matches!(answer.verdict, Verdict::Fitness { .. }), "{answer:?}");
        answers += 1;
    }
    assert_eq!(answers, 4000);
    assert_eq!(workers.processes().len(), 8);
}
