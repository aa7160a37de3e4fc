//! Evaluators that have several requests in flight: answers in any order, and what a loss costs.

use crate::evaluator::{LONG, Workers, job, metric, settings, whole};
use mutation_agent::evaluator::{Answer, EvaluatorError, Mode, Pool, Settings, Verdict};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A worker in shell, in a folder of its own, that may have so many requests in flight. `next` reads a request into
/// `$id`, and notes it; `answer ID` gives the number of the id as its fitness; `$life` counts the workers from 1.
fn engine(in_flight: usize, script: &str) -> (Workers, tempfile::TempDir) {
    engine_within(LONG, in_flight, script)
}

fn engine_within(
    timeout: Duration,
    in_flight: usize,
    script: &str,
) -> (Workers, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings_of(script);
    (settings.in_flight, settings.timeout) = (in_flight, timeout);
    folder.path().clone_into(&mut settings.folder);
    (Workers::start(settings), folder)
}

fn settings_of(script: &str) -> Settings {
    let script = format!(
        "echo >>lives; life=$(grep -c '' lives)
        next() {{ read -r line || exit 0; id=${{line#*'\"id\":\"'}}; id=${{id%%'\"'*}}; echo \"$life $id\" >>asked; }}
        answer() {{
            number=${{1#exit_mut_}}
            echo \"{{\\\"id\\\": \\\"$1\\\", \\\"fitness\\\": 1$number, \\\"metrics\\\": {{\\\"life\\\": $life}}}}\"
        }}
        {script}"
    );
    settings(Mode::Stream, &["sh", "-c", &script])
}

/// Answers all that come.
const WILLING: &str = "while next; do answer $id; done";

/// The same at length: a thousand answers are more than a pipe holds.
const TALKATIVE: &str = r#"padding=$(head -c 1000 /dev/zero | tr '\0' x)
    while next; do answer $id | sed "s/life/$padding\": 1, \"life/"; done"#;

/// The answers to so many jobs, by number.
fn answers(workers: &mut Workers, count: usize) -> BTreeMap<u64, Answer> {
    let mut found = BTreeMap::new();
    for _ in 0..count {
        let answer = workers.pool.next(LONG).expect("an answer");
        assert!(found.insert(answer.number, answer).is_none(), "answered twice");
    }
    assert_eq!(workers.pool.in_flight(), 0);
    found
}

fn is_right(answer: &Answer) -> bool {
    matches!(answer.verdict, Verdict::Fitness { fitness, .. } if whole(fitness) == 1_000_000 + answer.number.cast_signed())
}

/// What the workers were asked: the life and the id, in this order.
fn asked(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("asked")).unwrap_or_default();
    text.lines().map(|line| line.replace("exit_mut_00000", "")).collect()
}

/// The five jobs of a worker that has read all of them and then does this; they are all asked of a second one, but for
/// those in `but`.
fn five_are_asked_again(loss: &str, but: &[&str]) {
    let script = format!(
        "if [ $life = 1 ]; then
            next; next; next; next; next
            {loss}
            exec sleep 1000
        fi
        {WILLING}"
    );
    let (mut workers, folder) = engine(5, &script);
    (1..=5).for_each(|number| workers.pool.submit(job(number)));
    let found = answers(&mut workers, 5);
    assert!(found.values().all(is_right), "{loss}: {found:?}");
    let again = ["1", "2", "3", "4", "5"].iter().filter(|id| !but.contains(id));
    let expected = (1..=5).map(|id| format!("1 {id}")).chain(again.map(|id| format!("2 {id}")));
    assert_eq!(asked(folder.path()), expected.collect::<Vec<_>>(), "{loss}");
}

#[test]
fn answers_come_in_any_order_and_in_pieces() {
    let script = "
        while next; do
            a=$id; next; b=$id; next; c=$id
            answer $c
            answer $a | { read -r line; printf '%s' \"${line%%,*}\"; printf ', %s\\n\\n' \"${line#*, }\"; }
            answer $b
        done";
    let (mut workers, _folder) = engine(3, script);
    (1..=9).for_each(|number| workers.pool.submit(job(number)));
    let mut order = Vec::new();
    for _ in 0..9 {
        let answer = workers.pool.next(LONG).expect("an answer");
        assert!(is_right(&answer), "{answer:?}");
        order.push(answer.number);
    }
    assert_eq!(order, [3, 1, 2, 6, 4, 5, 9, 7, 8]);
    assert_eq!(workers.processes().len(), 1);
}

#[test]
fn half_an_answer_is_waited_for() {
    let script = "next; printf '{\"id\": \"%s\", ' $id; next; printf '\"fitness\": 1000001}\\n'; answer $id; next";
    let (mut workers, _folder) = engine(2, script);
    (1..=2).for_each(|number| workers.pool.submit(job(number)));
    assert!(answers(&mut workers, 2).values().all(is_right));
}

#[test]
fn whoever_is_in_flight_when_a_worker_is_lost_is_asked_again() {
    for loss in [
        "exit 7",
        "kill -9 $$",
        "exec >&-",
        "echo loading data",
        "answer other",
        "printf '{\"id\": \"'; exit",
        "head -c 100000 /dev/zero | tr '\\0' x",
    ] {
        five_are_asked_again(loss, &[]);
    }
    five_are_asked_again("answer exit_mut_000003; answer exit_mut_000003", &["3"]);
    five_are_asked_again("answer exit_mut_000005; answer exit_mut_000001; exit 1", &["1", "5"]);
}

#[test]
fn whoever_is_in_flight_in_a_second_loss_has_failed() {
    let script = "if [ $life -le 2 ]; then next; next; next; echo lost it >&2; exit 7; fi; "
        .to_owned()
        + WILLING;
    let (mut workers, folder) = engine(3, &script);
    (1..=3).for_each(|number| workers.pool.submit(job(number)));
    for answer in answers(&mut workers, 3).values() {
        let text = "the worker ended without an answer, exit code 7: lost it";
        assert_eq!(answer.verdict, Verdict::Failed(text.to_owned()));
    }
    assert!(is_right(&workers.judge(4)));
    let expected = ["1 1", "1 2", "1 3", "2 1", "2 2", "2 3", "3 4"];
    assert_eq!(asked(folder.path()), expected);
}

#[test]
fn a_loss_of_one_alone_is_its_own() {
    let script = "next; if [ $life = 1 ]; then exit 7; fi; answer $id; ".to_owned() + WILLING;
    let (mut workers, _folder) = engine(100, &script);
    assert_eq!(
        workers.judge(1).verdict,
        Verdict::Failed("the worker ended without an answer, exit code 7".to_owned())
    );
    assert_eq!(metric(&workers.judge(2), "life"), 2);
}

#[test]
fn a_time_out_among_many_costs_one_and_its_late_answer_is_ignored() {
    let script = "
        while next; do
            case $id in
            *2) late=$id ;;
            *5) answer $late; answer $id ;;
            *) answer $id ;;
            esac
        done";
    let (mut workers, _folder) = engine_within(Duration::from_secs(1), 4, script);
    (1..=4).for_each(|number| workers.pool.submit(job(number)));
    let found = answers(&mut workers, 4);
    assert_eq!(found[&2].verdict, Verdict::Timeout("no answer within 1s".to_owned()));
    assert!(found[&2].took >= Duration::from_secs(1), "{:?}", found[&2].took);
    assert!([1, 3, 4].iter().all(|number| is_right(&found[number])), "{found:?}");
    for number in [5, 6] {
        let answer = workers.judge(number);
        assert!(is_right(&answer) && metric(&answer, "life") == 1, "{answer:?}");
    }
}

#[test]
fn a_worker_that_hangs_is_ended_with_those_whose_time_is_over() {
    let script = "if [ $life = 1 ]; then while next; do echo \"thinks of $id\" >&2; done; fi; "
        .to_owned()
        + WILLING;
    let (mut workers, folder) = engine_within(Duration::from_secs(2), 5, &script);
    (1..=2).for_each(|number| workers.pool.submit(job(number)));
    assert_eq!(workers.pool.next(Duration::from_millis(500)), None);
    (3..=8).for_each(|number| workers.pool.submit(job(number)));
    let found = answers(&mut workers, 8);
    for number in 1..=2 {
        let Verdict::Timeout(text) = &found[&number].verdict else { panic!("{found:?}") };
        assert!(text.starts_with("no answer within 2s: thinks of exit_mut_000001"), "{text}");
    }
    for number in 3..=8 {
        assert!(is_right(&found[&number]), "{found:?}");
        assert_eq!(metric(&found[&number], "life"), 2);
    }
    let first: Vec<String> =
        asked(folder.path()).into_iter().filter(|line| line.starts_with("1 ")).collect();
    assert_eq!(first, ["1 1", "1 2", "1 3", "1 4", "1 5"], "no more than may be in flight");
}

#[test]
fn a_worker_that_owes_too_much_is_ended() {
    let script = "while next; do case $life$id in 1*[135]) ;; *) answer $id ;; esac; done";
    let (mut workers, _folder) = engine_within(Duration::from_millis(500), 2, script);
    for number in [1, 3, 5] {
        workers.pool.submit(job(number));
        workers.pool.submit(job(number + 1));
        let found = answers(&mut workers, 2);
        assert!(matches!(found[&number].verdict, Verdict::Timeout(_)), "{found:?}");
        assert_eq!(metric(&found[&(number + 1)], "life"), 1);
    }
    assert_eq!(metric(&workers.judge(7), "life"), 2);
}

#[test]
fn an_answer_that_is_none_costs_its_evaluation_alone() {
    let nan = "printf '{\"id\": \"%s\", \"fitness\": NaN}\\n' $id";
    let script = format!("while next; do case $id in *2) {nan} ;; *) answer $id ;; esac; done");
    let (mut workers, _folder) = engine(4, &script);
    (1..=4).for_each(|number| workers.pool.submit(job(number)));
    let found = answers(&mut workers, 4);
    let Verdict::Invalid(text) = &found[&2].verdict else { panic!("{found:?}") };
    assert!(text.contains("no NaN"), "{text}");
    for number in [1, 3, 4] {
        assert!(is_right(&found[&number]) && metric(&found[&number], "life") == 1, "{found:?}");
    }
}

#[test]
fn an_id_that_is_in_flight_is_not_asked_for_twice() {
    let (mut workers, _folder) =
        engine(2, "next; first=$id; next; answer $first; answer $id; next");
    let mut second = job(2);
    second.mutation_id = job(1).mutation_id;
    for job in [job(1), second, job(3)] {
        workers.pool.submit(job);
    }
    let found = answers(&mut workers, 3);
    assert!(is_right(&found[&1]) && is_right(&found[&3]), "{found:?}");
    assert!(
        matches!(&found[&2].verdict, Verdict::Failed(text) if text.contains("has this id")),
        "{found:?}"
    );
}

#[test]
fn nobody_waits_for_one_who_does_not_read() {
    // More than the pipes hold, there and back; the worker reads when it is told.
    let script = &format!("while [ ! -e go ]; do sleep 0.05; done; {TALKATIVE}");
    let (mut workers, folder) = engine(1000, script);
    for number in 1..=1000 {
        let mut job = job(number);
        job.strategy = "x".repeat(1000);
        workers.pool.submit(job);
    }
    assert_eq!(workers.pool.next(Duration::from_millis(100)), None);
    fs::write(folder.path().join("go"), "").unwrap();
    assert!(answers(&mut workers, 1000).values().all(is_right));
}

#[test]
fn a_thousand_in_flight_are_ended_as_fast_as_one() {
    for script in ["trap '' TERM; while next; do :; done", "sleep 1000", TALKATIVE] {
        let (mut workers, folder) = engine(1000, script);
        (1..=1000).for_each(|number| workers.pool.submit(job(number)));
        // One that nobody listens to comes to stand still.
        let enough = if script == TALKATIVE { 80 } else { 0 };
        crate::story::wait_until("the worker is up", || {
            folder.path().join("lives").exists() && asked(folder.path()).len() >= enough
        });
        let (batch, began) = (workers.batch, Instant::now());
        workers.pool.stop();
        // Two seconds are the grace of those who ignore SIGTERM.
        assert!(began.elapsed() < Duration::from_secs(4), "{script}: {:?}", began.elapsed());
        assert_eq!(crate::evaluator::with_variable(&format!("BATCH_ID={batch}")), [""; 0]);
    }
}

#[test]
fn several_workers_share_what_is_asked() {
    let mut settings = settings_of("next; first=$id; next; answer $first; answer $id; next");
    let folder = tempfile::tempdir().unwrap();
    folder.path().clone_into(&mut settings.folder);
    (settings.workers, settings.in_flight) = (3, 2);
    let mut workers = Workers::start(settings);
    (1..=6).for_each(|number| workers.pool.submit(job(number)));
    assert!(answers(&mut workers, 6).values().all(is_right));
    assert_eq!(workers.processes().len(), 3);
}

#[test]
fn a_process_has_one_candidate() {
    let mut settings = settings(Mode::Process, &["judge", "{candidate}"]);
    settings.in_flight = 2;
    let refused = Pool::start(settings, "b", PathBuf::from("/bin/false")).unwrap_err();
    assert_eq!(refused, EvaluatorError::InFlight);
}
