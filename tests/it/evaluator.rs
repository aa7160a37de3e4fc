//! Evaluators that are started for each candidate, by way of the pool, with our own binary as the host of each worker.

use mutation_agent::evaluator::{Answer, Job, Mode, Pool, Settings, Verdict};
use mutation_agent::units::Number;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A pool, and the batch by which all that it starts is known.
pub(crate) struct Workers {
    pub(crate) pool: Pool,
    pub(crate) batch: String,
}

/// `sh -c SCRIPT CANDIDATE` for each candidate.
pub(crate) fn sh(script: &str) -> Settings {
    settings(Mode::Process, &["sh", "-c", script, "{candidate}"])
}

pub(crate) fn settings(mode: Mode, command: &[&str]) -> Settings {
    Settings {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        mode,
        timeout: LONG,
        workers: 1,
        in_flight: 1,
        memory: None,
        cpu: None,
        folder: std::env::temp_dir(),
    }
}

pub(crate) fn job(number: u64) -> Job {
    Job {
        number,
        mutation_id: format!("exit_mut_{number:06}"),
        strategy: "strategies/a.py".to_owned(),
        candidate: PathBuf::from("/nowhere/a b.py"),
        parameters: BTreeMap::from([
            ("x".to_owned(), Number::Float(0.5)),
            ("n".to_owned(), Number::Int(3)),
        ]),
        seed: 40 + number,
    }
}

impl Workers {
    pub(crate) fn start(settings: Settings) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let batch = format!("it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let host = PathBuf::from(env!("CARGO_BIN_EXE_mutation-agent"));
        Self { pool: Pool::start(settings, &batch, host).unwrap(), batch }
    }

    /// One evaluation, after which nothing of it is left.
    pub(crate) fn judge(&mut self, number: u64) -> Answer {
        self.pool.submit(job(number));
        assert_eq!(self.pool.in_flight(), 1);
        let answer = self.pool.next(LONG).expect("an answer");
        assert_eq!((answer.number, self.pool.in_flight()), (number, 0));
        answer
    }

    /// The evaluators' processes that are there.
    pub(crate) fn processes(&self) -> Vec<String> {
        with_variable(&format!("BATCH_ID={}", self.batch))
    }
}

/// The processes that have a variable, zombies left out (they have none).
pub(crate) fn with_variable(variable: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let has = |path: &Path| {
        let environment = fs::read(path.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    };
    let found = entries.map(|entry| entry.path()).filter(|path| has(path));
    let command = |path: &Path| fs::read_to_string(path.join("cmdline")).unwrap_or_default();
    found.map(|path| format!("{} {}", path.display(), command(&path).replace('\0', " "))).collect()
}

/// One evaluation by a pool of its own.
fn judged(settings: Settings) -> Answer {
    let mut workers = Workers::start(settings);
    let answer = workers.judge(1);
    assert_eq!(workers.processes(), [""; 0], "left behind");
    assert_eq!(workers.pool.next(LONG), None, "what is not in flight is not waited for");
    answer
}

pub(crate) fn fitness(value: f64) -> Verdict {
    Verdict::Fitness { fitness: value, metrics: BTreeMap::new() }
}

pub(crate) fn whole(value: f64) -> i64 {
    value.to_string().parse().unwrap()
}

/// A metric that is a whole number.
pub(crate) fn metric(answer: &Answer, name: &str) -> i64 {
    match &answer.verdict {
        Verdict::Fitness { metrics, .. } => whole(metrics[name]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_line_of_a_process_is_its_fitness() {
    assert_eq!(judged(sh("echo noise; echo 0.25; echo")).verdict, fitness(0.25));
    let answer = judged(sh("echo '{\"fitness\": 2, \"metrics\": {\"trades\": 7}}'"));
    assert_eq!(metric(&answer, "trades"), 7);
    assert!(answer.took < LONG, "{:?}", answer.took);
}

#[test]
fn an_evaluator_is_told_what_it_judges_and_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = "[ \"$0\" = '/nowhere/a b.py' ] && [ \"$1\" = '-f=/nowhere/a b.py' ] && [ \"$2\" = '$HOME' ] || exit 3
        [ \"$MUTATION_ID $SEED $STRATEGY\" = 'exit_mut_000001 41 strategies/a.py' ] || exit 4
        [ -z \"$(cat)\" ] || exit 5
        echo \"$BATCH_ID\" > batch; echo 1";
    let mut settings =
        settings(Mode::Process, &["sh", "-c", script, "{candidate}", "-f={candidate}", "$HOME"]);
    settings.folder = folder.path().to_owned();
    let mut workers = Workers::start(settings);
    assert_eq!(workers.judge(1).verdict, fitness(1.0));
    let told = fs::read_to_string(folder.path().join("batch")).unwrap();
    assert_eq!(told.trim(), workers.batch);
}

#[test]
fn a_program_with_a_slash_is_relative_to_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("judge");
    fs::write(&program, "#!/bin/sh\necho 4\n").unwrap();
    let mut settings = settings(Mode::Process, &["./judge", "{candidate}"]);
    settings.folder = folder.path().to_owned();
    let Verdict::Unusable(text) = judged(settings.clone()).verdict else {
        panic!("not executable")
    };
    assert!(text.contains("`./judge`") && text.contains("chmod +x"), "{text}");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(judged(settings).verdict, fitness(4.0));
}

#[test]
fn what_cannot_be_run_is_unusable_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let lost = file("lost", "#!/nowhere/interpreter\n");
    let no_program = file("no-program", "echo 1\n");
    for (program, why) in [
        ("no-such-evaluator", "not in PATH"),
        ("./no-such-evaluator", "is not there"),
        (&lost, "the interpreter that its first line names"),
        (&no_program, "#!/bin/sh"),
        ("/", "not executable"),
    ] {
        for mode in [Mode::Process, Mode::Stream] {
            let words = [program, "{candidate}"];
            let command = if mode == Mode::Process { &words[..] } else { &words[..1] };
            let Verdict::Unusable(text) = judged(settings(mode, command)).verdict else {
                panic!("{program}")
            };
            assert!(text.contains(program) && text.contains(why), "{text}");
        }
    }
    let mut nowhere = sh("echo 1");
    nowhere.folder = folder.path().join("none");
    let Verdict::Unusable(text) = judged(nowhere).verdict else { panic!("no folder") };
    assert!(text.contains("none"), "{text}");
}

#[test]
fn a_host_that_is_none_is_unusable() {
    let host = PathBuf::from("/bin/false");
    let mut pool = Pool::start(sh("echo 1"), "b", host).unwrap();
    pool.submit(job(1));
    let Verdict::Unusable(text) = pool.next(LONG).unwrap().verdict else {
        panic!("false is no host")
    };
    assert!(text.contains("exit status: 1"), "{text}");
}

#[test]
fn a_failure_says_how_it_ended_and_what_it_said_last() {
    for (script, text) in [
        ("echo ignored; printf 'one\\ntwo\\n' >&2; exit 3", "exit code 3: one\\ntwo"),
        ("echo 'only this'; exit 9", "exit code 9: only this"),
        ("echo 1; exit 255", "exit code 255: 1"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("kill -TERM $$", "killed by SIGTERM"),
        ("kill -USR1 $$", "killed by signal 10"),
    ] {
        assert_eq!(judged(sh(script)).verdict, Verdict::Failed(text.to_owned()), "{script}");
    }
    let Verdict::Failed(text) = judged(sh("kill -KILL $$")).verdict else { panic!("killed") };
    assert!(text.starts_with("killed by SIGKILL"), "{text}");
}

#[test]
fn an_answer_that_is_none_says_what_was_read() {
    for (script, found) in
        [("", "found nothing"), ("echo nan", "found `nan`"), ("echo 1; echo done", "found `done`")]
    {
        let Verdict::Invalid(text) = judged(sh(script)).verdict else { panic!("{script}") };
        assert!(text.contains("expected a finite number") && text.ends_with(found), "{text}");
    }
}

#[test]
fn a_time_out_ends_the_whole_group() {
    for script in [
        "echo at it >&2; sleep 1000",
        "echo at it >&2; sleep 1000 & (sleep 1000; sleep 1000) & wait",
    ] {
        let mut settings = sh(script);
        settings.timeout = Duration::from_millis(300);
        let answer = judged(settings);
        assert_eq!(answer.verdict, Verdict::Timeout("no answer within 300ms: at it".to_owned()));
        assert!(answer.took >= Duration::from_millis(300), "{:?}", answer.took);
    }
}

#[test]
fn who_ignores_sigterm_is_killed_after_a_grace_and_who_does_not_may_tidy_up() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = sh("trap '' TERM; sleep 1000 & while :; do sleep 1; done");
    settings.timeout = Duration::from_millis(200);
    let answer = judged(settings.clone());
    assert!(matches!(answer.verdict, Verdict::Timeout(_)), "{:?}", answer.verdict);
    assert!(answer.took >= Duration::from_secs(2), "{:?}", answer.took);

    settings.command[2] =
        "trap 'echo tidy > tidied; exit' TERM; while :; do sleep 0.05; done".to_owned();
    settings.folder = folder.path().to_owned();
    assert!(matches!(judged(settings).verdict, Verdict::Timeout(_)));
    assert_eq!(fs::read_to_string(folder.path().join("tidied")).unwrap(), "tidy\n");
}

#[test]
fn what_an_evaluator_leaves_running_ends_with_it() {
    // The pipes are held open by what is left; nobody waits for that.
    let mut workers = Workers::start(sh("sleep 1000 & (trap '' TERM; sleep 1000 & wait) & echo 1"));
    for number in 0..20 {
        let answer = workers.judge(number);
        assert_eq!(answer.verdict, fitness(1.0));
        assert!(answer.took < LONG);
        assert_eq!(workers.processes(), [""; 0]);
    }
}

#[test]
fn a_gigabyte_of_output_neither_blocks_nor_is_kept() {
    let answer = judged(sh("yes | head -c 200000000 >&2
        yes 'a line of output' | head -c 500000000
        head -c 300000000 /dev/zero
        while read name value unit; do [ $name = VmHWM: ] && peak=$value; done < /proc/$PPID/status
        echo; echo \"{\\\"fitness\\\": 1, \\\"metrics\\\": {\\\"peak\\\": $peak}}\""));
    let peak = metric(&answer, "peak");
    assert!(peak < 64 * 1024, "{peak} KiB");
}

#[test]
fn memory_is_limited_for_every_process_of_an_evaluator() {
    let mut settings = sh("(ulimit -Sv)");
    settings.memory = Some(1 << 30);
    assert_eq!(judged(settings.clone()).verdict, fitness(1024.0 * 1024.0));
    // With room for the host it is there from the first instruction on.
    settings.memory = Some(256 << 20);
    settings.command[2] = "head -c 600000000 /dev/zero | tail".to_owned();
    let verdict = judged(settings.clone()).verdict;
    let Verdict::Failed(text) = verdict else { panic!("256 MiB are enough: {verdict:?}") };
    assert!(text.contains("with memory limited to 256.0 MiB"), "{text}");
    // Less than the host itself has: then a process gets its limit a moment after it began.
    settings.memory = Some(48 << 20);
    settings.command[2] = "while [ $(ulimit -v) = unlimited ]; do :; done
        head -c 200000000 /dev/zero | tail"
        .to_owned();
    let verdict = judged(settings).verdict;
    let Verdict::Failed(text) = verdict else { panic!("48 MiB are enough: {verdict:?}") };
    assert!(text.contains("with memory limited to 48.0 MiB"), "{text}");
}

#[test]
fn processor_time_is_limited() {
    let mut settings = sh("while :; do :; done");
    settings.cpu = Some(Duration::from_millis(900));
    let Verdict::Failed(text) = judged(settings.clone()).verdict else { panic!("endless") };
    assert_eq!(text, "killed by SIGXCPU: the limit of 900ms processor time");
    // Each evaluation has its own.
    settings.command[2] = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; echo 1".to_owned();
    let mut workers = Workers::start(settings);
    (0..5).for_each(|number| assert_eq!(workers.judge(number).verdict, fitness(1.0)));
}

#[test]
fn no_core_file_is_written() {
    assert_eq!(judged(sh("ulimit -Hc")).verdict, fitness(0.0));
}

#[test]
fn sixty_four_workers_do_thousands_without_growing() {
    let script = "read children 2>/dev/null < /proc/$PPID/task/$PPID/children; set -- /proc/$PPID/fd/*; fds=$#
        set -- $children; echo \"{\\\"fitness\\\": $SEED, \\\"metrics\\\": {\\\"fds\\\": $fds, \\\"children\\\": $#}}\"";
    let mut settings = sh(script);
    settings.workers = 64;
    let mut workers = Workers::start(settings);
    let all = 2500;
    (0..all).for_each(|number| workers.pool.submit(job(number)));
    assert_eq!(workers.pool.in_flight(), 2500);
    let mut seen = std::collections::BTreeSet::new();
    let mut fds = std::collections::BTreeSet::new();
    while let Some(answer) = workers.pool.next(LONG) {
        let Verdict::Fitness { fitness, metrics } = &answer.verdict else { panic!("{answer:?}") };
        assert_eq!(
            whole(*fitness).cast_unsigned(),
            answer.number + 40,
            "an answer is the job's own"
        );
        assert!(metrics["children"] <= 1.0, "{metrics:?}");
        fds.insert(whole(metrics["fds"]));
        assert!(seen.insert(answer.number));
    }
    assert_eq!(seen.len(), 2500);
    // A process may look before its host has closed its own ends of two pipes, or has opened the handle.
    assert!(fds.last().unwrap() - fds.first().unwrap() <= 3, "{fds:?}");
    assert_eq!(workers.processes(), [""; 0]);
}

#[test]
fn patience_is_kept_and_an_answer_comes_as_soon_as_it_is_there() {
    let mut settings = sh("while [ ! -e go$SEED ]; do sleep 0.01; done; echo 1");
    let folder = tempfile::tempdir().unwrap();
    settings.folder = folder.path().to_owned();
    settings.workers = 3;
    let mut workers = Workers::start(settings);
    (1..=4).for_each(|number| workers.pool.submit(job(number)));
    assert_eq!(workers.pool.next(Duration::from_millis(50)), None);
    assert_eq!(workers.pool.next(Duration::ZERO), None);
    assert_eq!(workers.pool.in_flight(), 4);
    for number in [2, 4, 1, 3] {
        fs::write(folder.path().join(format!("go{}", 40 + number)), "").unwrap();
        assert_eq!(workers.pool.next(LONG).unwrap().number, number);
    }
}

#[test]
fn stop_ends_everything_within_its_grace() {
    let mut settings = sh("touch started-$SEED; trap '' TERM; sleep 1000 & wait; sleep 1000");
    let folder = tempfile::tempdir().unwrap();
    settings.folder = folder.path().to_owned();
    settings.workers = 4;
    let mut workers = Workers::start(settings);
    (0..9).for_each(|number| workers.pool.submit(job(number)));
    crate::story::wait_until("four are at it", || {
        fs::read_dir(folder.path()).unwrap().count() == 4
    });
    let Workers { pool, batch } = workers;
    let began = Instant::now();
    pool.stop();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(with_variable(&format!("BATCH_ID={batch}")), [""; 0]);
}
