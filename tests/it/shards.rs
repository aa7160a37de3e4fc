//! Several agents that share the strategies of one config: together they do what one would.

use crate::gateway::Gateway;
use crate::story::Story;
use mutation_agent::units::Shard;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SHARDS: u32 = 3;

/// Eleven strategies; one of them is judged worse and worse, and one not at all.
fn story() -> Story {
    let mut story = Story::of("stop_loss_pct = 0.1\n");
    for number in 0..10 {
        let text = format!("stop_loss_pct = 0.1\ntake_profit_pct = 0.{}\n", number + 10);
        story.write(&format!("strategies/s{number}.py"), &text);
    }
    story.write("strategies/broken.py", "stop_loss_pct = (\n");
    story.set("batch", "rounds", "4");
    story.set("batch", "mutations_per_round", "37");
    story
}

fn shard(index: u32) -> String {
    format!("{index}/{SHARDS}")
}

/// A night of one agent for all, and the same night of shards.
fn both(story: &Story, night: &[&str]) {
    story.expect(0, &[&["run"], night].concat());
    for index in 0..SHARDS {
        story.expect(0, &[&["run", "--shard", &shard(index)], night].concat());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(
            |path| if path.is_dir() && !path.is_symlink() { files(&path) } else { vec![path] },
        )
        .collect()
}

/// The records below a folder without what must vary: times, and ids of batches.
fn records(story: &Story, folder: &str) -> Vec<String> {
    let mut all = Vec::new();
    for path in files(&story.path(folder)) {
        // No link, no manifest, no log of another program.
        if path.is_symlink() || path.extension() != Some("jsonl".as_ref()) {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let fields = record.as_object_mut().unwrap();
            for varying in ["timestamp", "batch_id", "duration_ms", "evaluation_ms"] {
                fields.remove(varying).unwrap();
            }
            let parent = fields["parent"].as_str().and_then(|parent| parent.rsplit('/').next());
            let parent = parent.map(str::to_owned).into();
            fields.insert("parent".to_owned(), parent);
            all.push(record.to_string());
        }
    }
    all.sort();
    all
}

/// By strategy and mutation, the text of the candidates of batches in a folder.
fn candidates(story: &Story, folders: &[String]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for folder in folders {
        let folder = story.path(folder);
        let latest = folder.join("latest").canonicalize().unwrap();
        for path in
            files(&latest).into_iter().filter(|path| path.extension() == Some("py".as_ref()))
        {
            let name = path.strip_prefix(&latest).unwrap();
            // One of an earlier night has its batch in its name.
            let file = name.file_name().unwrap().to_str().unwrap();
            let earlier = if file.starts_with("exit_mut_") { "" } else { "earlier-" };
            let mutation = &file[file.find("exit_mut_").unwrap()..];
            let name = name.with_file_name(format!("{earlier}{mutation}"));
            assert_eq!(
                all.insert(name.clone(), fs::read(&path).unwrap()),
                None,
                "{}",
                name.display()
            );
        }
    }
    all
}

/// The audits of the shards alone.
fn of_shards(story: &Story) -> Vec<String> {
    let all = (0..SHARDS).flat_map(|index| records(story, &format!("mutation-data/shard-{index}")));
    let mut all: Vec<String> = all.collect();
    all.sort();
    all
}

fn assert_the_law(story: &Story, attempts: Option<usize>) {
    let whole = records(story, "mutation-data/audit");
    if let Some(attempts) = attempts {
        assert_eq!(whole.len(), attempts);
    }
    let united = of_shards(story);
    assert!(united == whole, "{} records of shards, {} of one agent", united.len(), whole.len());
    let folders: Vec<String> = (0..SHARDS).map(|index| format!("evolved/shard-{index}")).collect();
    let whole = candidates(story, &["evolved".to_owned()]);
    assert!(!whole.is_empty() && candidates(story, &folders) == whole);
}

#[test]
fn the_records_and_candidates_of_all_shards_are_those_of_one_agent() {
    let story = story();
    both(&story, &[]);
    assert_the_law(&story, Some(4 * 37));
}

#[test]
fn so_it_is_with_variants_and_many_chunks_on_any_number_of_workers() {
    let mut story = story();
    story.table("[[variant]]\nname = \"usual\"");
    story.table("[[variant]]\nname = \"wide\"\nsigma = 0.4\nparameters_per_mutation = 2");
    story.expect(0, &["run", "--mutations", "9000", "--rounds", "2"]);
    for (index, workers) in (0..SHARDS).zip(["1", "2", "5"]) {
        story.set("batch", "workers", workers);
        let shard = shard(index);
        story.expect(0, &["run", "--mutations", "9000", "--rounds", "2", "--shard", &shard]);
    }
    assert_the_law(&story, Some(18_000));
}

/// It fails for one source, so that its strategy is left out, and finds nothing better in another one.
const JUDGE: &str = r#"
while read -r name _ value; do
    case $name in stop_loss_pct) stop=$value ;; take_profit_pct) take=$value ;; esac
done <"$1"
case $STRATEGY in
strategies/s3.py) exit 1 ;;
strategies/s4.py) echo 1; exit ;;
esac
echo "$stop$((SEED % 7))"
"#;

#[test]
fn so_it_is_night_after_night_where_candidates_are_judged_one_source_fails_and_patience_ends() {
    let mut story = story();
    story.write("judge.sh", JUDGE);
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.set("evolution", "patience", "2");
    for seed in ["1", "2"] {
        both(&story, &["--seed", seed]);
    }
    assert_the_law(&story, None);
    let whole = records(&story, "mutation-data/audit");
    assert!(whole.iter().all(|record| !record.contains("s3.py")), "it was left out");
    let idle = whole.iter().filter(|record| record.contains("s4.py"));
    let rounds: BTreeSet<u64> = idle
        .map(|record| serde_json::from_str::<Value>(record).unwrap()["round"].as_u64().unwrap())
        .collect();
    assert_eq!(rounds, BTreeSet::from([1, 2]), "it is left alone when patience has ended");
    for index in 0..SHARDS {
        story.expect(0, &["replay", "--shard", &shard(index)]);
        story.expect(0, &["audit", "verify", "--shard", &shard(index)]);
    }
}

#[test]
fn who_looks_sees_all_shards_or_the_one_that_is_meant() {
    let story = story();
    for index in 0..SHARDS {
        story.expect(0, &["run", "--shard", &shard(index)]);
    }
    let total = |args: &[&str]| {
        let said = story.expect(0, &[&["stats", "--json"], args].concat()).stdout;
        serde_json::from_str::<Value>(&said).unwrap()["total"].as_u64().unwrap()
    };
    let each: Vec<u64> = (0..SHARDS).map(|index| total(&["--shard", &shard(index)])).collect();
    assert!(each.iter().all(|attempts| *attempts > 0), "{each:?}");
    assert_eq!(each.iter().sum::<u64>(), 4 * 37);
    assert_eq!(total(&[]), 4 * 37);
    assert_eq!(total(&["mutation-data"]), 4 * 37);
    let folders = ["mutation-data/shard-0", "mutation-data/shard-1", "mutation-data/shard-2"];
    assert_eq!(total(&folders), 4 * 37);
    assert_eq!(total(&folders[..1]), each[0]);
    for args in [&["audit", "verify"][..], &["audit", "verify", "mutation-data"]] {
        let said = story.expect(0, args).stdout;
        assert!(said.ends_with("3 batches, 148 records verified: sound\n"), "{said}");
    }
    let listed = story.expect(0, &["audit", "list"]).stdout;
    assert_eq!(listed.matches("completed").count(), 3, "{listed}");
    let said = story.expect(0, &["report"]).stdout;
    assert_eq!(
        said.lines().next(),
        Some(
            "Have a look at this night: Shard 0: Some targets cannot be used: 4 invalid_source. report.html"
        )
    );
    let [a, b] = [0, 1].map(|index| format!("path=mutation-data/shard-{index}"));
    story.expect(0, &["compare", &a, &b]);
}

#[test]
fn a_line_that_is_taken_from_a_shard_is_found_from_outside() {
    let story = story();
    for index in 0..SHARDS {
        story.expect(0, &["run", "--shard", &shard(index)]);
    }
    let [log] = &files(&story.path("mutation-data/shard-1/audit"))
        .into_iter()
        .filter(|path| path.extension() == Some("jsonl".as_ref()) && !path.is_symlink())
        .collect::<Vec<_>>()[..]
    else {
        panic!("one batch is one log")
    };
    let text = fs::read_to_string(log).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    fs::write(log, rest).unwrap();
    story.expect(65, &["audit", "verify", "mutation-data"]);
    // Put in another place it has an id that does not belong there.
    fs::write(log, format!("{rest}{first}\n")).unwrap();
    let said = story.expect(65, &["audit", "verify"]).stdout;
    assert!(said.contains("shard-1") && said.contains("line 1 (and"), "{said}");
}

#[test]
fn a_shard_pushes_to_a_group_of_its_own() {
    let gateway = Gateway::accepting();
    let mut story = story();
    story.table(&format!("[[gateway]]\nurl = \"{}\"\nformat = \"text\"", gateway.url()));
    story.set("metrics", "textfile", "\"agent.prom\"");
    story.expect(0, &["run", "--shard", "1/3"]);
    let paths: BTreeSet<String> = gateway.requests().into_iter().map(|one| one.path).collect();
    // A task that is started again may be on another host, whose name would be another group.
    assert_eq!(paths, BTreeSet::from(["/metrics/job/exit_evolution/shard/1".to_owned()]));
    let text = story.read("agent.shard-1.prom");
    assert!(text.contains("\nexit_mutations_total{shard=\"1\"} "), "{text}");
}

#[test]
fn a_slurm_array_and_an_indexed_job_say_which_shard_it_is() {
    let story = story();
    story.expect(0, &["check"]);
    let config = story.path("agent.toml").display().to_string();
    let array = [
        ("SLURM_ARRAY_TASK_ID", "2"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "3"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
    ];
    let run = |args: &[&str], variables: &[(&str, &str)]| {
        let args = [&["--config", &config], args].concat();
        story.start_as_it_is(&args, variables).end()
    };
    assert_eq!(run(&["run"], &array).code, 0);
    assert!(story.path("mutation-data/shard-1/state.json").exists());
    let job = [("JOB_COMPLETION_INDEX", "2")];
    assert_eq!(run(&["run", "--shards", "3"], &job).code, 0);
    assert!(story.path("mutation-data/shard-2/state.json").exists());
    let ended = run(&["run"], &job);
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("`--shards N`"), "{}", ended.stderr);
    assert_eq!(run(&["run", "--shard", "none"], &job).code, 0);
    assert!(story.path("mutation-data/state.json").exists());
    assert_eq!(run(&["run", "--shard", "3/3"], &[]).code, 2);
}

#[test]
fn a_shard_without_a_strategy_has_nothing_to_do_and_is_done() {
    let story = Story::of("stop_loss_pct = 0.1\n");
    let codes: Vec<i32> =
        (0..SHARDS).map(|index| story.run(&["run", "--shard", &shard(index)]).code).collect();
    assert_eq!(codes, [0; SHARDS as usize]);
    assert_eq!(of_shards(&story).len(), 60);
    // Where nobody has anything to do, something is wrong.
    let story = Story::of("other = 1\n");
    story.expect(65, &["run", "--shard", "0/3"]);
}

/// Seven strategies that have turns, of which most rounds see a few.
fn few_turns() -> Story {
    let mut story = Story::of("stop_loss_pct = 0.1\n");
    for number in 0..6 {
        story.write(&format!("strategies/s{number}.py"), "stop_loss_pct = 0.1\n");
    }
    story.set("batch", "rounds", "5");
    story.set("batch", "mutations_per_round", "3");
    story
}

#[test]
fn rounds_without_a_turn_of_ours_are_completed_all_the_same() {
    let story = few_turns();
    for index in 0..5 {
        let shard = format!("{index}/5");
        story.expect(0, &["run", "--shard", &shard]);
        story.expect(0, &["audit", "verify", "--shard", &shard]);
        // A state that is lost is made again from what is there, and nothing in it is mended.
        fs::remove_file(story.path(&format!("mutation-data/shard-{index}/state.json"))).unwrap();
        let said = story.expect(0, &["run", "--shard", &shard]).stderr;
        assert!(!said.contains("did not say what its log says"), "{said}");
    }
    // One round of two attempts: some shards have no turn, and that is no failure.
    for index in 0..5 {
        let shard = format!("{index}/5");
        story.expect(0, &["run", "--rounds", "1", "--mutations", "2", "--shard", &shard]);
    }
    story.expect(0, &["audit", "verify"]);
    story.expect(0, &["replay"]);
}

#[test]
fn a_killed_shard_is_sealed_with_what_it_has_and_a_line_that_is_taken_from_it_is_seen() {
    for taken in [false, true] {
        let mut story = story();
        story.set("batch", "rounds", "100000");
        let running = story.start(&["run", "--shard", "1/3"]);
        let audit = story.path("mutation-data/shard-1/audit");
        let lines = || {
            let open = files(&audit).into_iter();
            let mut open = open.filter(|path| path.extension() == Some("partial".as_ref()));
            open.next().map(|path| (fs::read_to_string(&path).unwrap().matches('\n').count(), path))
        };
        crate::story::wait_until("there are lines", || {
            lines().is_some_and(|(count, _)| count > 300)
        });
        running.signal(rustix::process::Signal::KILL);
        running.end();
        let (mut left, path) = lines().unwrap();
        if taken {
            let text = fs::read_to_string(&path).unwrap();
            let kept: Vec<&str> = text
                .lines()
                .enumerate()
                .filter(|(at, _)| *at != 100)
                .map(|(_, line)| line)
                .collect();
            fs::write(&path, kept.join("\n") + "\n").unwrap();
            left = 100;
        }
        story.set("batch", "rounds", "2");
        let said = story.expect(0, &["run", "--shard", "1/3"]).stderr;
        assert!(said.contains(&format!("{left} records are sealed and counted")), "{said}");
        story.expect(0, &["audit", "verify"]);
        story.expect(0, &["replay"]);
    }
}

#[test]
fn what_one_agent_made_before_is_not_mixed_up_with_the_shards() {
    let mut story = story();
    // The last number in the file: a higher take profit is better.
    story.write("judge.sh", "while read -r _ _ value; do last=$value; done <$1; echo $last\n");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.expect(0, &["run", "--seed", "1"]);
    for seed in ["2", "3"] {
        for index in 0..SHARDS {
            story.expect(0, &["run", "--seed", seed, "--shard", &shard(index)]);
        }
    }
    story.expect(0, &["replay"]);
    // What is promoted is what is shown as the best: of the search that went on last.
    let said = story.expect(0, &["best", "strategies/s1.py"]).stdout;
    let best = story.expect(0, &["best", "--diff", "strategies/s1.py"]).stdout;
    assert!(!best.is_empty(), "{said}");
    let promoted = story.expect(0, &["promote", "strategies/s1.py"]).stdout;
    assert!(promoted.starts_with(&best), "{promoted}\nis not\n{best}");
    let owner =
        (0..SHARDS).find(|index| Shard::new(*index, SHARDS).unwrap().owns("strategies/s1.py"));
    let owner = owner.unwrap();
    assert!(story.path(&format!("mutation-data/shard-{owner}/promotions.jsonl")).exists());
    assert!(!story.path("mutation-data/promotions.jsonl").exists());
}

#[test]
fn totals_of_all_shards_are_pushed_though_one_is_at_work() {
    let gateway = Gateway::accepting();
    let mut story = story();
    for index in 0..SHARDS {
        story.expect(0, &["run", "--shard", &shard(index)]);
    }
    story.table(&format!("[[gateway]]\nurl = \"{}\"\nformat = \"text\"", gateway.url()));
    let lock = fs::File::open(story.path("mutation-data/shard-0/lock")).unwrap();
    lock.lock().unwrap();
    let ended = story.expect(75, &["push"]);
    let paths: Vec<String> = gateway.requests().into_iter().map(|one| one.path).collect();
    let groups = ["1", "2"].map(|index| format!("/metrics/job/exit_evolution/shard/{index}"));
    assert_eq!(paths, groups);
    assert!(ended.stdout.contains("shard-2: 127.0.0.1"), "{}", ended.stdout);
    lock.unlock().unwrap();
    story.expect(0, &["push"]);
}

#[test]
fn a_log_of_another_program_belongs_to_no_shard() {
    let story = story();
    story.write("old.jsonl", "");
    let said = story.expect(2, &["ingest", "old.jsonl", "--shard", "1/3"]).stderr;
    assert!(said.contains("belongs to no shard"), "{said}");
}

#[test]
fn folders_that_are_named_are_verified_once_each_and_one_without_an_audit_is_no_pass() {
    let story = story();
    for index in 0..SHARDS {
        story.expect(0, &["run", "--shard", &shard(index)]);
    }
    let (all, one) = ("mutation-data", "mutation-data/shard-1");
    let said = story.expect(0, &["audit", "verify", all, one, all]).stdout;
    assert!(said.ends_with("3 batches, 148 records verified: sound\n"), "{said}");
    // An audit alone, without the state beside it, as of a backup.
    let copy = story.path("copy");
    fs::rename(story.path("mutation-data/shard-1/audit"), &copy).unwrap();
    let said = story.expect(0, &["audit", "verify", "copy"]).stdout;
    assert!(said.contains("note: no state is beside this audit"), "{said}");
    story.expect(65, &["audit", "verify", "strategies"]);
    story.expect(65, &["audit", "verify", "mutation-data"]);
    story.expect(2, &["stats", "--shard", "0/3", "mutation-data"]);
}

#[test]
fn what_is_promoted_is_what_best_shows_also_of_copies_in_other_shards() {
    let mut story = Story::of("stop_loss_pct = 0.1\n");
    for name in ["a", "b", "c", "d", "e"] {
        story.write(&format!("strategies/{name}.py"), "stop_loss_pct = 0.1\n");
    }
    story.write("judge.sh", "while read -r _ _ value; do last=$value; done <$1; echo $last\n");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    for index in 0..SHARDS {
        story.expect(0, &["run", "--shard", &shard(index)]);
    }
    let mut seen = BTreeSet::new();
    for name in ["a", "b", "c", "d", "e"] {
        let best = story.expect(0, &["best", "--diff", name]).stdout;
        let promoted = story.expect(0, &["promote", "--dry-run", name]).stdout;
        assert!(!best.is_empty() && promoted.starts_with(&best), "{promoted}\nis not\n{best}");
        seen.insert(best.lines().skip(2).map(str::to_owned).collect::<Vec<_>>());
    }
    assert!(seen.len() > 1, "each has a search of its own");
}

#[test]
fn another_number_of_shards_is_told() {
    let story = few_turns();
    story.expect(0, &["run", "--shard", "0/5"]);
    let said = story.expect(0, &["run", "--shard", "0/4"]).stderr;
    assert!(said.contains("another number of shards") && said.contains("last=0/5"), "{said}");
    let said = story.expect(0, &["run", "--shard", "0/4"]).stderr;
    assert!(!said.contains("another number"), "{said}");
    let said = story.expect(0, &["run"]).stderr;
    assert!(said.contains("there are shards in mutation-data"), "{said}");
}
