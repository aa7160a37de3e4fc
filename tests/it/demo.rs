//! `demo` needs nothing and leaves nothing.

use crate::story::Story;
use std::fs;

#[test]
fn the_demo_shows_fifty_mutations_their_statistics_and_the_push_and_leaves_nothing() {
    let story = Story::new();
    let before = story.listing();
    let ended = story.start_as_it_is(&["demo"], &[]).end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stderr, "");
    for part in [
        "50 mutations of 16 parameters in 4 strategies, seed 42",
        "The first 6 of 50 audit records",
        "  mutations                  50",
        "  successes ",
        "95th percentile",
        "PUT /metrics/job/exit_evolution/instance/demo",
        "\nexit_mutations_total 50\n",
        "\nexit_mutations_success ",
        "\nexit_mutation_success_rate ",
        "\nexit_mutation_duration_seconds_count 50\n",
        "\nexit_mutation_duration_seconds_bucket{le=\"+Inf\"} 50\n",
        "\nmutation_batch_in_progress 0\n",
    ] {
        assert!(ended.stdout.contains(part), "{part:?} is not in\n{}", ended.stdout);
    }
    assert_eq!(fs::read_dir(story.temp()).unwrap().count(), 0, "the temporary folder is empty");
    assert_eq!(story.listing(), before, "the folder that it was started in is as it was");
}

#[test]
fn the_demo_shows_the_same_mutations_each_time() {
    let story = Story::new();
    let records = || {
        let text = story.start_as_it_is(&["demo"], &[]).end().stdout;
        let records = text.lines().filter(|line| line.starts_with("  exit_mut_"));
        records.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let first = records();
    assert_eq!(first.len(), 6);
    assert_eq!(records(), first);
}

#[test]
fn a_demo_without_a_place_for_its_folder_says_so() {
    let story = Story::new();
    let ended = story.start_as_it_is(&["demo"], &[("TMPDIR", "/nowhere/at/all")]).end();
    assert_eq!(ended.code, 73, "{}", ended.stderr);
    assert!(
        ended.stderr.starts_with("error: cannot create a folder in /nowhere/at/all: "),
        "{}",
        ended.stderr
    );
}
