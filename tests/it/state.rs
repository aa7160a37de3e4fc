//! `state.json` lost, broken, or from another time; folders that are not what they should be.

use crate::exposition::assert_nothing_fell_but;
use crate::gateway::Gateway;
use crate::story::Story;
use mutation_agent::audit::Folder;
use mutation_agent::units::BatchId;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// Two batches, then a state that is no longer what it was.
fn with_state(text: &str) -> (Story, Gateway) {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", text);
    (story, gateway)
}

fn assert_set_aside_and_rebuilt(text: &str) {
    let (story, gateway) = with_state(text);
    let ended = story.expect(0, &["run"]);
    assert!(ended.stderr.contains("the state was corrupt"), "{}", ended.stderr);
    let aside = aside_as(&story, "corrupt");
    assert_eq!(fs::read_to_string(&aside).unwrap(), text);
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), 180);
    assert_eq!(push.count("exit_mutation_duration_seconds_count"), 180);
    assert_eq!(push.batches("completed"), 3);
    assert_eq!(story.all_lines().len(), 180);
    // Push attempts are in no audit; those since the newest manifest are lost with the state.
    assert_nothing_fell_but("mutation_push_attempts_total", &gateway.pushes());
    let said = story.expect(0, &["audit", "verify"]).stdout;
    let name = aside.file_name().unwrap().to_str().unwrap();
    assert!(said.starts_with(&format!("note: {name} was corrupt and set aside")), "{said}");
}

#[test]
fn a_corrupt_state_is_set_aside_and_rebuilt() {
    assert_set_aside_and_rebuilt("{\"schema\":1,\"totals\":\"lost\"}");
}

#[test]
fn a_truncated_state_is_set_aside_and_rebuilt() {
    assert_set_aside_and_rebuilt("{\"schema\":1,\"totals\":{\"tally\":{\"attem");
}

#[test]
fn an_empty_state_is_set_aside_and_rebuilt() {
    assert_set_aside_and_rebuilt("");
}

#[test]
fn a_state_that_was_deleted_is_rebuilt() {
    let (story, gateway) = with_state("");
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    story.expect(0, &["run"]);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 180);
    assert_eq!(gateway.newest().batches("completed"), 3);
}

#[test]
fn a_lost_state_is_rebuilt_with_the_batches_that_were_pruned() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.set("audit", "retention", "{ batches = 1 }");
    for _ in 0..3 {
        story.expect(0, &["run"]);
    }
    assert_eq!(story.batches().len(), 1);
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    story.expect(0, &["run"]);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 240);
    assert_eq!(gateway.newest().batches("completed"), 4);
}

#[test]
fn a_state_of_a_newer_schema_is_refused_and_left_alone() {
    let (story, gateway) = with_state("{\"schema\":2,\"everything\":\"else\"}");
    let (before, requests) = (story.listing(), gateway.requests().len());
    for args in [&["run"][..], &["push"], &["push", "--all"]] {
        let ended = story.expect(78, args);
        assert!(
            ended.stderr.contains("state.json has schema 2; this agent knows 1: use a newer agent"),
            "{}",
            ended.stderr
        );
    }
    assert!(story.listing() == before, "the folder is as it was");
    assert_eq!(gateway.requests().len(), requests);
}

#[test]
fn a_manifest_of_a_newer_schema_is_refused_and_left_alone() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let path = story.audit().manifest(&story.newest());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"schema\":1,", "\"schema\":9,")).unwrap();
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    let before = story.listing();
    let ended = story.expect(78, &["run"]);
    assert!(ended.stderr.contains("has schema 9"), "{}", ended.stderr);
    assert!(story.listing() == before, "the folder is as it was");
}

#[test]
fn a_sealed_log_without_its_manifest_gets_one_from_its_records() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let id = story.newest();
    fs::remove_file(story.audit().manifest(&id)).unwrap();
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    let ended = story.expect(0, &["run"]);
    assert!(
        ended.stderr.contains("had no usable manifest; made from its records"),
        "{}",
        ended.stderr
    );
    assert_eq!(story.manifest(&id)["records"], 60);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 120);
}

#[test]
fn a_sealed_log_that_cannot_be_read_stops_the_start_and_is_named() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let id = story.newest();
    fs::write(story.audit().sealed(&id), "no record\n").unwrap();
    fs::remove_file(story.audit().manifest(&id)).unwrap();
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    let ended = story.expect(73, &["run"]);
    assert!(
        ended.stderr.contains(&format!("{id}.jsonl:1:2: not an audit record")),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("move the file away to go on without it"), "{}", ended.stderr);
}

#[test]
fn a_file_in_the_place_of_a_folder_cannot_be_used() {
    for (section, key) in [("", "data_dir"), ("audit", "dir")] {
        let mut story = Story::new();
        story.write("file", "theirs");
        for place in ["\"file\"", "\"file/below\""] {
            story.set(section, key, place);
            let ended = story.expect(73, &["run"]);
            assert!(
                ended.stderr.contains("error: cannot create the folder file"),
                "{}",
                ended.stderr
            );
        }
        assert_eq!(story.read("file"), "theirs");
    }
}

#[test]
fn a_link_in_the_place_of_a_file_of_ours_is_not_followed() {
    for name in ["state.json", "lock"] {
        let story = Story::new();
        story.expect(0, &["run"]);
        fs::remove_file(story.path("mutation-data").join(name)).unwrap();
        story.write("theirs", "{}");
        std::os::unix::fs::symlink("../theirs", story.path("mutation-data").join(name)).unwrap();
        let ended = story.expect(73, &["run"]);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert_eq!(story.read("theirs"), "{}");
    }
}

#[test]
fn a_place_where_nobody_may_write_is_a_matter_of_permission() {
    // Not even root makes folders there.
    assert!(fs::exists("/sys/kernel").unwrap(), "a kernel's /sys is needed");
    let mut story = Story::new();
    story.set("", "data_dir", "\"/sys/kernel/mutation-agent-test\"");
    let ended = story.expect(77, &["run"]);
    assert!(ended.stderr.contains("/sys/kernel/mutation-agent-test"), "{}", ended.stderr);
}

#[test]
fn a_data_folder_that_others_can_write_to_is_refused() {
    for (name, mode) in
        [("mutation-data", 0o770), ("mutation-data", 0o702), ("mutation-data/audit", 0o720)]
    {
        let story = Story::new();
        story.expect(0, &["run"]);
        let folder = story.path(name);
        fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        let before = story.listing();
        let ended = story.expect(77, &["run"]);
        assert!(
            ended.stderr.contains("can be written by others; run: chmod go-w "),
            "{}",
            ended.stderr
        );
        assert!(story.listing() == before, "the folder is as it was");
        let checked = story.run(&["check"]);
        assert!(checked.stdout.contains("can be written by others"), "{}", checked.stdout);
    }
}

#[test]
fn another_hosts_state_is_set_aside_and_the_totals_are_the_sum_of_the_manifests() {
    let other = Story::new();
    for _ in 0..3 {
        other.expect(0, &["run", "--mutations", "7"]);
    }
    let copied = other.read("mutation-data/state.json");
    let (story, gateway) = with_state(&copied);
    let ended = story.expect(0, &["push"]);
    assert!(ended.stderr.contains("the state does not belong to this audit"), "{}", ended.stderr);
    let sum = |field: &str| -> u64 {
        let manifests = story.batches().into_iter().map(|id| story.manifest(&id));
        manifests.map(|manifest| manifest["tally"][field].as_u64().unwrap()).sum()
    };
    let totals = &story.state()["totals"];
    for field in ["attempts", "successes"] {
        assert_eq!(totals["tally"][field], sum(field));
    }
    assert_eq!(totals["batches"], serde_json::json!({"completed": 2}));
    assert_eq!(gateway.newest().count("exit_mutations_total"), 120, "and it is pushed");
    let aside = aside_as(&story, "foreign");
    assert_eq!(fs::read_to_string(aside).unwrap(), copied);
    // Once, and not at every start.
    let ended = story.expect(0, &["run"]);
    assert!(!ended.stderr.contains("does not belong"), "{}", ended.stderr);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 180);
    // And `audit verify` says it until somebody has moved it away.
    let said = story.expect(65, &["audit", "verify"]).stdout;
    assert!(said.starts_with("state.json.foreign-"), "{said}");
    assert!(said.ends_with("3 batches, 180 records verified: 1 finding\n"), "{said}");
    fs::remove_file(aside_as(&story, "foreign")).unwrap();
    story.expect(0, &["audit", "verify"]);
}

/// The state that was set aside for this reason.
fn aside_as(story: &Story, why: &str) -> PathBuf {
    let entries = fs::read_dir(story.path("mutation-data")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let start = format!("state.json.{why}-");
    let aside = paths.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&start));
    aside.expect("it is kept")
}

/// Three batches of which the newest is meddled with: nothing that the gateway shows may fall or rise by it, and
/// `audit verify` must go on finding it, whatever starts and batches come afterwards.
fn meddled(meddle: impl Fn(&Folder, &BatchId), told: &str, before: &str, after: &str) {
    let (story, gateway) = with_state("");
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    story.expect(0, &["run"]);
    let (audit, id) = (story.audit(), story.newest());
    meddle(&audit, &id);
    let finds = |start: &str| {
        let said = story.expect(65, &["audit", "verify"]).stdout;
        assert!(said.starts_with(start), "{said}");
        assert!(said.ends_with(": 1 finding\n"), "{said}");
    };
    finds(before);
    let ended = story.expect(0, &["push", "--all"]);
    assert!(ended.stderr.contains(told), "{}", ended.stderr);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 180);
    finds(before);
    for total in [240, 300] {
        story.expect(0, &["run"]);
        assert_eq!(gateway.newest().count("exit_mutations_total"), total);
        let next = story.batches().into_iter().find(|other| *other > id).unwrap();
        finds(&after.replace("NEXT", next.as_str()));
    }
    assert_nothing_fell_but("mutation_push_attempts_total", &gateway.pushes());
}

#[test]
fn a_newest_batch_that_was_taken_away_takes_no_total_with_it_and_is_missed_for_good() {
    let remove = |audit: &Folder, id: &BatchId| audit.remove(id).unwrap();
    meddled(
        remove,
        "somebody must have taken it away; the totals go on from the state",
        "state.json: names ",
        "NEXT.manifest.json: a batch is missing between ",
    );
}

#[test]
fn a_newest_manifest_that_was_changed_changes_no_total_and_is_found_for_good() {
    let edited = |edit: fn(&mut serde_json::Value)| {
        move |audit: &Folder, id: &BatchId| {
            let path = audit.manifest(id);
            let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            edit(&mut value);
            fs::write(path, value.to_string()).unwrap();
        }
    };
    let falsified = edited(|manifest| {
        let attempts = manifest["tally"]["attempts"].as_u64().unwrap();
        manifest["tally"]["attempts"] = (attempts + 1_000_000).into();
    });
    let written_again = edited(|_| ());
    for meddle in [falsified, written_again] {
        meddled(meddle, "the totals go on from the state, as its log has them", "20", "20");
    }
}

#[test]
fn a_manifest_that_was_falsified_does_not_win_over_its_log_where_the_state_is_lost() {
    let (story, gateway) = with_state("");
    let path = story.audit().manifest(&story.newest());
    let mut manifest = story.manifest(&story.newest());
    manifest["tally"]["attempts"] = 1_000_060.into();
    fs::write(path, manifest.to_string()).unwrap();
    let ended = story.expect(0, &["push", "--all"]);
    assert!(ended.stderr.contains("as the log is the truth"), "{}", ended.stderr);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 120);
    assert_eq!(story.manifest(&story.newest())["status"], "completed");
}

#[test]
fn another_audit_folder_goes_on_with_the_totals_though_its_first_batch_was_killed_after_its_seal() {
    let gateway = Gateway::accepting();
    let mut story = Story::new();
    story.push_to(&gateway);
    story.expect(0, &["run"]);
    let state = story.read("mutation-data/state.json");
    story.set("audit", "dir", "\"elsewhere\"");
    story.expect(0, &["run"]);
    story.write("mutation-data/state.json", &state);
    story.expect(0, &["run"]);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 180);
    assert_nothing_fell_but("mutation_push_attempts_total", &gateway.pushes());
}
