//! `report`: the page as it is made from real batches.

use crate::story::Story;
use std::fs;

fn page(story: &Story, args: &[&str]) -> String {
    let mut all = vec!["report", "-o", "-"];
    all.extend(args);
    story.expect(0, &all).stdout
}

#[test]
fn a_report_says_how_the_night_was_and_has_the_audits_figures() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let said = story.expect(0, &["report"]).stdout;
    assert!(said.starts_with("The night was good: 60 of 60 mutations succeeded"), "{said}");
    assert!(said.ends_with(" report.html\n"), "{said}");
    let text = fs::read_to_string(story.path("report.html")).unwrap();
    let id = story.newest().to_string();
    for part in ["<!DOCTYPE html>", &id, "60 records in 1 batch.", "The chain of digests holds"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    for part in ["http://", "https://", "<script", "<link", "src="] {
        assert!(!text.replace("http://www.w3.org/2000/svg", "").contains(part), "{part} is in it");
    }
}

#[test]
fn without_a_batch_there_is_a_page_that_says_so() {
    let story = Story::new();
    let text = page(&story, &[]);
    assert!(text.contains("The night was bad") && text.contains("There is no batch."), "{text}");
}

#[test]
fn a_log_that_is_damaged_is_said_and_the_rest_is_reported() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let newest = story.newest();
    let log = story.audit().sealed(&newest);
    let text = fs::read_to_string(&log).unwrap();
    let (kept, _) = text.split_at(text.len() / 2);
    let whole = &kept[..=kept.rfind('\n').unwrap()];
    fs::write(&log, format!("{whole}this is no record\n")).unwrap();
    let text = page(&story, &[]);
    assert!(text.contains("The night was bad"), "{text}");
    assert!(
        text.contains("not an audit record") && text.contains("Not as it was written"),
        "{text}"
    );
    let lines = whole.lines().count();
    assert!(text.contains(&format!("{} records in 2 batches", lines + 60)), "{lines} {text}");
}

#[test]
fn a_manifest_that_is_gone_or_no_manifest_takes_nothing_from_the_records() {
    let story = Story::new();
    story.expect(0, &["run"]);
    fs::write(story.audit().manifest(&story.newest()), "{").unwrap();
    let text = page(&story, &["mutation-data/audit"]);
    assert!(
        text.contains("60 records in 1 batch.") && text.contains("is not a manifest"),
        "{text}"
    );
    fs::remove_file(story.audit().manifest(&story.newest())).unwrap();
    assert!(page(&story, &["mutation-data/audit"]).contains("How the batch ended is not known"));
}

#[test]
fn files_and_times_choose_what_is_reported() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    assert!(page(&story, &["mutation-data/audit/latest.jsonl"]).contains("60 records in 1 batch."));
    assert!(page(&story, &["--since", "1h"]).contains("120 records in 2 batches"));
    assert!(page(&story, &["--until", "1h"]).contains("There is no batch."));
    story.expect(74, &["report", "none.jsonl"]);
}

#[test]
fn a_page_that_cannot_be_written_is_an_error_and_a_page_is_there_whole_or_not_at_all() {
    let story = Story::new();
    story.expect(0, &["run"]);
    let said = story.expect(73, &["report", "-o", "none/report.html"]).stderr;
    assert!(said.contains("cannot create none/"), "{said}");
    story.expect(0, &["report"]);
    // A link is followed, and no device is ever replaced, not even by root.
    std::os::unix::fs::symlink("report.html", story.path("link.html")).unwrap();
    story.expect(0, &["report", "-o", "link.html"]);
    assert!(story.path("link.html").is_symlink());
    let said = story.expect(73, &["report", "-o", "/dev/null"]).stderr;
    assert!(said.contains("/dev/null is no regular file"), "{said}");
    // As with `--output audit/*.jsonl`, where the shell makes the first log of it.
    let log = story.audit().sealed(&story.newest());
    let content = fs::read(&log).unwrap();
    let said = story.expect(73, &["report", "-o", log.to_str().unwrap()]).stderr;
    assert!(said.contains("is there and is no HTML page"), "{said}");
    assert_eq!(fs::read(&log).unwrap(), content);
    story.write("empty.html", "");
    story.expect(0, &["report", "-o", "empty.html"]);
    let before = fs::read(story.path("report.html")).unwrap();
    story.expect(0, &["report"]);
    assert_eq!(before.len(), fs::read(story.path("report.html")).unwrap().len());
}

#[test]
fn what_was_usual_before_the_time_that_is_reported_counts() {
    let story = Story::new();
    (0..8).for_each(|_| drop(story.expect(0, &["run"])));
    let newest = story.newest();
    let log = fs::read_to_string(story.audit().sealed(&newest)).unwrap();
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let text = page(&story, &["--since", first["timestamp"].as_str().unwrap()]);
    assert!(text.contains("60 records in 1 batch."), "{text}");
    assert!(text.contains("60 of 60 mutations succeeded (100.0 %); usual are "), "{text}");
}

#[test]
fn batches_that_were_put_into_one_file_are_nights_of_their_own() {
    let story = Story::new();
    story.expect(0, &["run"]);
    story.expect(0, &["run"]);
    let logs = story.batches().into_iter().map(|id| {
        let packed = story.audit().compressed(&id);
        let plain = story.audit().sealed(&id);
        let bytes = fs::read(&plain).or_else(|_| zstd::decode_all(fs::File::open(packed)?));
        String::from_utf8(bytes.unwrap()).unwrap()
    });
    story.write("all.jsonl", &logs.collect::<String>());
    assert!(page(&story, &["all.jsonl"]).contains("120 records in 2 batches."));
}
