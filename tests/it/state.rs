//! `state.json` lost, broken, or from another time; folders that are not what they should be.

use crate::exposition::assert_nothing_fell_but;
use crate::gateway::Gateway;
use crate::story::Story;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

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
    let entries = fs::read_dir(story.path("mutation-data")).unwrap();
    let aside = entries.map(|entry| entry.unwrap().path()).find(|path| {
        path.file_name().unwrap().to_str().unwrap().starts_with("state.json.corrupt-")
    });
    assert_eq!(fs::read_to_string(aside.expect("it is kept")).unwrap(), text);
    let push = gateway.newest();
    assert_eq!(push.count("exit_mutations_total"), 180);
    assert_eq!(push.count("exit_mutation_duration_seconds_count"), 180);
    assert_eq!(push.batches("completed"), 3);
    assert_eq!(story.all_lines().len(), 180);
    // Push attempts are in no audit; those since the newest manifest are lost with the state.
    assert_nothing_fell_but("mutation_push_attempts_total", &gateway.pushes());
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
        ended.stderr.contains(&format!("{id}.jsonl:1: not an audit record")),
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
    let entries = fs::read_dir(story.path("mutation-data")).unwrap();
    let aside = entries.map(|entry| entry.unwrap().path()).find(|path| {
        path.file_name().unwrap().to_str().unwrap().starts_with("state.json.foreign-")
    });
    assert_eq!(fs::read_to_string(aside.expect("it is kept")).unwrap(), copied);
    // Once, and not at every start.
    let ended = story.expect(0, &["run"]);
    assert!(!ended.stderr.contains("does not belong"), "{}", ended.stderr);
    assert_eq!(gateway.newest().count("exit_mutations_total"), 180);
}
