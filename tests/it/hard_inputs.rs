//! Files that nobody meant: deep, long, huge, not text, not numbers. Each is refused or set aside with its place and an
//! exit code of the table, in the memory of an ordinary start.

use crate::gateway::Gateway;
use crate::scripted_gateway::Step;
use crate::story::{Ended, Story};
use serde_json::Value;
use std::fs;

/// What a process may ask for, in kibibytes. An ordinary batch asks for less than half of it, mostly stacks of threads; a
/// file of 10 MB read into a tree, or one of 1 GB read at all, would be the end of it.
const MEMORY: u32 = 700_000;

const LONG_LINE: usize = 10_000_000;

/// A batch of a few mutations over one good strategy.
fn story() -> Story {
    let mut story = Story::of("stop_loss_pct = 0.1\n");
    story.set("batch", "rounds", "1");
    story.set("batch", "mutations_per_round", "5");
    story.write("agent.toml", &story.config());
    story
}

/// Runs a command in little memory; neither a panic nor an end by the system passes.
fn run(story: &Story, args: &[&str]) -> Ended {
    let ended = story.start_with_memory(MEMORY, args).end();
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(ended.code >= 0 && ended.code != 70, "{}: {}", ended.code, ended.stderr);
    assert!(ended.stderr.len() < 10_000, "it says too much: {}", ended.stderr.len());
    ended
}

/// A gigabyte of zeros that takes no room on the disk.
fn sparse(story: &Story, name: &str) {
    story.write(name, "");
    fs::File::create(story.path(name)).unwrap().set_len(1 << 30).unwrap();
}

fn deep(link: &str) -> String {
    link.repeat(100_000)
}

#[test]
fn a_hard_strategy_is_left_out_with_its_reason_and_the_others_go_on() {
    let cases: [(&str, Vec<u8>, &str, &str); 17] = [
        (
            "ambiguous",
            "stop_loss_pct = 1\n".repeat(50_000).into(),
            "ambiguous",
            "lines 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 49990 more; set `occurrence`",
        ),
        (
            "deep",
            format!("x = {}1{}\n", deep("("), deep(")")).into(),
            "invalid_source",
            "line 1, column 1: more than 200 brackets",
        ),
        (
            "deep_operators",
            format!("x = {}1\n", deep("-")).into(),
            "invalid_source",
            "more than 3000 operators",
        ),
        ("deep_blocks", deep("if x:\n").into(), "invalid_source", "line 2, column 1: "),
        (
            "long",
            format!("# {}\n", "y".repeat(LONG_LINE)).into(),
            "unreadable",
            "longer than 4194304 bytes",
        ),
        (
            "infinite",
            "stop_loss_pct = 1e999\n".into(),
            "start_out_of_bounds",
            "line 1: inf is outside of 0.01 to 0.2",
        ),
        (
            "negative",
            "stop_loss_pct = -1e999\n".into(),
            "start_out_of_bounds",
            "line 1: -inf is outside",
        ),
        (
            "huge",
            format!("stop_loss_pct = {}\n", "9".repeat(400)).into(),
            "start_out_of_bounds",
            "inf is outside",
        ),
        ("denormal", "stop_loss_pct = 5e-324\n".into(), "start_out_of_bounds", "5e-324 is outside"),
        ("nan", "stop_loss_pct = nan\n".into(), "not_numeric_literal", "line 1: `nan`"),
        (
            "latin",
            b"x = 1\ny = '\xe9'\n".into(),
            "invalid_source",
            "line 2, column 6: not UTF-8 at byte 11",
        ),
        ("surrogate", b"x = '\xed\xa0\x80'\n".into(), "invalid_source", "not UTF-8 at byte 5"),
        ("utf_16", b"\xff\xfex\0=\x001\0".into(), "invalid_source", "not UTF-8 at byte 0"),
        (
            "nul",
            b"stop_loss_pct = 0.1\n\0".into(),
            "invalid_source",
            "line 2, column 1: a NUL byte",
        ),
        ("empty", Vec::new(), "not_found", ""),
        ("digits", format!("stop_loss_pct = 0.1{}\n", "0".repeat(1_000_000)).into(), "", ""),
        ("bom_and_crlf", "\u{feff}stop_loss_pct = 0.1\r\n".into(), "", ""),
    ];
    let story = story();
    for (name, bytes, ..) in &cases {
        story.write_bytes(&format!("strategies/{name}.py"), bytes);
    }
    sparse(&story, "strategies/sparse.py");
    assert_eq!(run(&story, &["run"]).code, 0);
    let manifest = story.manifest(&story.newest());
    let entry = |name: &str| {
        let path = format!("strategies/{name}.py");
        let all = manifest["strategies"].as_array().unwrap();
        all.iter().find(|entry| entry["path"] == path.as_str()).unwrap().clone()
    };
    for (name, _, reason, detail) in cases {
        let entry = entry(name);
        let first = &entry["unusable"][0];
        if reason.is_empty() {
            assert_eq!(entry["usable"][0]["value"], 0.1, "{name}: {first}");
        } else {
            assert_eq!(first["reason"], reason, "{name}: {first}");
            assert!(first["detail"].as_str().unwrap().contains(detail), "{name}: {first}");
        }
    }
    assert_eq!(entry("sparse")["unusable"][0]["detail"], "longer than 4194304 bytes");
    assert_eq!(entry("only")["usable"][0]["value"], 0.1);
}

#[test]
fn a_hard_config_is_refused_with_its_place() {
    let good = "[strategies]\ninclude = [\"strategies/*.py\"]\n";
    let bounds = |min: &str, max: &str| {
        format!("{good}[[parameter]]\nname = \"x\"\nmin = {min}\nmax = {max}\n").into_bytes()
    };
    let cases: [(Vec<u8>, &str); 16] = [
        (format!("{good}a = {}", deep("[")).into(), "agent.toml:3:"),
        (format!("{good}a = {}", deep("{a=")).into(), "agent.toml:3:"),
        // The reader gives no place for this one.
        (format!("{good}{}b = 1", deep("a.")).into(), "agent.toml:1:1: recursion limit"),
        (format!("{good}# {}", "y".repeat(LONG_LINE)).into(), "longer than"),
        (format!("{good}# {}\na = 1", "y".repeat(900_000)).into(), "agent.toml:4:1: "),
        (bounds("0.1", "1e999"), "agent.toml:6:7: "),
        (bounds("-1e999", "0.1"), "agent.toml:5:7: "),
        (bounds("nan", "0.1"), "agent.toml:5:7: "),
        (bounds("0", "99999999999999999999"), "agent.toml:6:7: "),
        (bounds("5e-324", "0.1"), "agent.toml:5:7: "),
        (bounds("0.1", "0x7fffffffffffffff"), "agent.toml:6:7: "),
        (b"[strategies]\ninclude = [\"\xff\"]\n".into(), "agent.toml:2:13: not UTF-8"),
        (b"[strategies]\ninclude = [\"\\ud800\"]\n".into(), "agent.toml:2:"),
        (b"[strategies]\n\0\n".into(), "agent.toml:2:2: "),
        (b"\xff\xfe[\0".into(), "agent.toml:1:1: "),
        (format!("\u{feff}{good}a = 1\r\n").into(), "agent.toml:3:1: "),
    ];
    let story = story();
    for (config, told) in cases {
        story.write_bytes("agent.toml", &config);
        for command in ["run", "check", "push"] {
            let ended = run(&story, &[command]);
            assert_eq!(ended.code, 78, "{told}: {}", ended.stderr);
            assert!(ended.stderr.contains(told), "{told:?} is not in\n{}", ended.stderr);
        }
    }
    sparse(&story, "agent.toml");
    let ended = run(&story, &["check"]);
    assert_eq!(ended.code, 78);
    assert!(ended.stderr.contains("longer than"), "{}", ended.stderr);
    assert!(!story.path("mutation-data").exists());
}

#[test]
fn a_hard_password_file_is_refused_and_not_shown() {
    let mut story = story();
    story.table(
        "[[gateway]]\nurl = \"http://127.0.0.1:9\"\n\
         basic = { user = \"u\", password_file = \"secrets/password\" }",
    );
    story.write("agent.toml", &story.config());
    for (bytes, told) in [
        (b"hunter2\xff\n".to_vec(), "is not UTF-8"),
        (b"hunter2\0\n".to_vec(), "must be one line"),
        (b"hunter2\nhunter2\n".to_vec(), "must be one line"),
        ("hunter2".repeat(LONG_LINE / 7).into(), "longer than 1 MiB"),
    ] {
        story.write_bytes("secrets/password", &bytes);
        let ended = run(&story, &["run"]);
        assert_eq!(ended.code, 78, "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{told:?} is not in\n{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
    sparse(&story, "secrets/password");
    assert!(run(&story, &["run"]).stderr.contains("longer than 1 MiB"));
}

/// What can stand in the place of a JSON file of ours, `good` being what stood there.
fn spoilt(good: &str) -> Vec<Vec<u8>> {
    let rate = |value: &str| {
        let (start, rest) = good.split_once("\"attempts\":").unwrap();
        let (_, end) = rest.split_once(',').unwrap();
        format!("{start}\"attempts\":{value},{end}").into_bytes()
    };
    vec![
        Vec::new(),
        deep("[").into(),
        deep("{\"schema\":").into(),
        format!("{{\"schema\":1,\"a\":{}{}}}", deep("["), deep("]")).into(),
        "y".repeat(LONG_LINE).into(),
        format!("{{\"schema\":1,\"a\":\"{}\"}}", "y".repeat(LONG_LINE)).into(),
        rate("1e999"),
        rate("-1e999"),
        rate("NaN"),
        rate("18446744073709551616"),
        rate("5e-324"),
        rate("-1"),
        format!("\u{feff}{good}").into(),
        good.replace("stop_loss_pct", "\\ud800").into(),
        [&b"\xff\xfe"[..], good.as_bytes()].concat(),
        good.replace("stop_loss_pct", "\0").into(),
    ]
}

#[test]
fn a_hard_state_is_set_aside_and_rebuilt() {
    let story = story();
    assert_eq!(run(&story, &["run"]).code, 0);
    let good = story.read("mutation-data/state.json");
    for (earlier, bytes) in (1..).zip(spoilt(&good)) {
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        story.write_bytes("mutation-data/state.json", &bytes);
        let ended = run(&story, &["run"]);
        assert_eq!(ended.code, 0, "{begin}: {}", ended.stderr);
        assert!(ended.stderr.contains("the state was corrupt"), "{begin}: {}", ended.stderr);
        assert_eq!(story.state()["totals"]["tally"]["attempts"], 5 * (earlier + 1), "{begin}");
    }
    sparse(&story, "mutation-data/state.json");
    let ended = run(&story, &["run"]);
    assert_eq!(ended.code, 73, "{}", ended.stderr);
    assert!(ended.stderr.contains("state.json: it is longer than"), "{}", ended.stderr);
    let ended = run(&story, &["audit", "verify"]);
    assert_eq!(ended.code, 65, "{}", ended.stderr);
    assert!(
        ended.stdout.contains("state.json: is not a file of ours: it is longer than"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_state_with_absurd_numbers_and_no_batch_is_no_panic() {
    let story = story();
    assert_eq!(run(&story, &["run"]).code, 0);
    let mut state = story.state();
    state["last_batch"] = Value::Null;
    state["totals"]["batches"] = serde_json::json!({"completed": u64::MAX, "failed": 1});
    story.write("mutation-data/state.json", &state.to_string());
    let ended = run(&story, &["run"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("it has totals and names no batch"), "{}", ended.stderr);
    assert_eq!(story.state()["totals"]["tally"]["attempts"], 10);
}

#[test]
fn a_hard_manifest_is_made_anew_from_its_records() {
    let story = story();
    assert_eq!(run(&story, &["run"]).code, 0);
    let good = fs::read_to_string(story.audit().manifest(&story.newest())).unwrap();
    let lose_state = || fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    for (earlier, bytes) in (1..).zip(spoilt(&good)) {
        let begin = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
        let spoilt = story.newest();
        fs::write(story.audit().manifest(&spoilt), &bytes).unwrap();
        lose_state();
        let ended = run(&story, &["run"]);
        assert_eq!(ended.code, 0, "{begin}: {}", ended.stderr);
        assert!(ended.stderr.contains("had no usable manifest"), "{begin}: {}", ended.stderr);
        assert_eq!(story.state()["totals"]["tally"]["attempts"], 5 * (earlier + 1), "{begin}");
        assert_eq!(story.manifest(&spoilt)["records"], 5);
    }
    let path = story.audit().manifest(&story.newest());
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    lose_state();
    let ended = run(&story, &["run"]);
    assert_eq!(ended.code, 73, "{}", ended.stderr);
    assert!(ended.stderr.contains("manifest.json: it is longer than"), "{}", ended.stderr);
}

#[test]
fn a_hard_audit_file_is_named_with_the_line() {
    let story = story();
    assert_eq!(run(&story, &["run"]).code, 0);
    let good = fs::read_to_string(story.audit().sealed(&story.newest())).unwrap();
    let line = good.lines().next().unwrap().to_owned() + "\n";
    let old_value =
        |value: &str| line.replace("\"old_value\":0.1", &format!("\"old_value\":{value}"));
    let unknown = |value: &str| line.replace("\"line\":1", &format!("\"line\":1,\"more\":{value}"));
    let cases: [(Vec<u8>, &str); 13] = [
        (deep("[").into(), "no line end"),
        (format!("{}\n", deep("[")).into(), "invalid type: sequence"),
        (unknown(&deep("[")).into(), "hard.jsonl:2:100"),
        ("y".repeat(LONG_LINE).into(), "the line is longer than 1048576 bytes"),
        (line.replace("only.py", &"y".repeat(LONG_LINE)).into(), "the line is longer than"),
        (old_value("1e999").into(), "number out of range"),
        (old_value("-1e999").into(), "number out of range"),
        (old_value("NaN").into(), "expected value"),
        (old_value("18446744073709551615").into(), "an integer beyond 64 bits"),
        (line.replace("only.py", "\\ud800").into(), "hex escape"),
        (line.replace("only.py", "\0").into(), "control character"),
        ([&b"\xff"[..], line.as_bytes()].concat(), "expected value"),
        (format!("\u{feff}{line}").into(), "expected value"),
    ];
    for (bytes, told) in cases {
        let (bytes, place) = match told {
            // Half a line at the end is how an open journal looks, and no mistake.
            "no line end" => ([line.as_bytes(), &bytes].concat(), None),
            _ => ([line.as_bytes(), &bytes].concat(), Some("hard.jsonl:2:")),
        };
        story.write_bytes("hard.jsonl", &bytes);
        let ended = run(&story, &["stats", "hard.jsonl"]);
        assert_eq!(ended.code, if place.is_some() { 65 } else { 0 }, "{told}: {}", ended.stderr);
        for part in place.into_iter().chain(place.map(|_| told)) {
            assert!(ended.stderr.contains(part), "{part:?} is not in\n{}", ended.stderr);
        }
    }
    // A gigabyte of one line in a few kilobytes.
    let packed = zstd::encode_all(std::io::Read::take(std::io::repeat(b'y'), 1 << 30), 1).unwrap();
    story.write_bytes("hard.jsonl.zst", &packed);
    let ended = run(&story, &["stats", "hard.jsonl.zst"]);
    assert_eq!(ended.code, 65);
    assert!(ended.stderr.contains("hard.jsonl.zst:1: the line is longer than"), "{}", ended.stderr);
}

#[test]
fn a_journal_with_a_line_of_10_megabytes_is_cut_before_it() {
    let story = story();
    assert_eq!(run(&story, &["run"]).code, 0);
    let (id, audit) = (story.newest(), story.audit());
    let mut bytes = fs::read(audit.sealed(&id)).unwrap();
    fs::remove_file(audit.sealed(&id)).unwrap();
    fs::remove_file(story.path("mutation-data/state.json")).unwrap();
    bytes.extend("y".repeat(LONG_LINE).bytes());
    fs::write(audit.open_journal(&id), bytes).unwrap();
    let ended = run(&story, &["run"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(story.lines(&id).len(), 5);
    assert_eq!(fs::metadata(audit.broken(&id)).unwrap().len(), LONG_LINE as u64);
}

#[test]
fn a_gateway_that_answers_without_end_or_sense_is_undelivered() {
    let head = b"HTTP/1.1 400 X\r\nContent-Type: text/plain\r\n\r\n".to_vec();
    let odd =
        b"HTTP/1.1 400 \xff\r\nLocation: \xff\xfe\x80\r\nContent-Length: 6\r\n\r\n\xff\xfe\0no\x1b";
    let header = [&b"HTTP/1.1 400 X\r\nA: "[..], &b"y".repeat(LONG_LINE), b"\r\n\r\n"].concat();
    for (step, told) in [
        (Step::Endless(head), "HTTP status 400 Bad Request: xxxxx"),
        (Step::AnswerAndClose(odd.to_vec()), "\u{fffd}no\u{fffd}"),
        (Step::AnswerAndClose(header), "not an answer of a gateway"),
    ] {
        let gateway = Gateway::scripted(vec![step]);
        let mut story = story();
        story.push_to(&gateway);
        story.set("push", "attempt_timeout", "\"1s\"");
        story.set("push", "deadline", "\"1s\"");
        story.write("agent.toml", &story.config());
        let ended = story.start_with_memory(MEMORY, &["run"]).end();
        assert_eq!(ended.code, 75, "{}", ended.stderr);
        let error = story.state()["gateways"]["main"]["last_error"].clone();
        let Value::String(error) = error else { panic!("{error}") };
        assert!(error.contains(told), "{told:?} is not in {error}");
        assert!(error.len() < 20_000, "{} bytes", error.len());
    }
}

#[test]
fn a_gateway_that_shows_16_megabytes_of_others_is_read_in_little_memory() {
    let mut story = story();
    let line = "a 1\n";
    let text = line.repeat(16_000_000 / line.len()) + "push_time_seconds{job=\"other\"} 1\n";
    let gateway = Gateway::scripted(vec![Step::status(200, &[], &text)]);
    story.push_to(&gateway);
    story.write("agent.toml", &story.config());
    story.expect(0, &["run"]);
    // Kept, each sample of four bytes would take thirty times as much.
    let ended = story.start_with_memory(400_000, &["audit", "verify", "--gateway"]).end();
    assert_eq!(ended.code, 75, "{}", ended.stderr);
    assert!(ended.stdout.contains("shows nothing of"), "{}{}", ended.stdout, ended.stderr);
}
