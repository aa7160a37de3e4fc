//! `replay`: batches drawn again from their manifests alone.

use crate::story::Story;
use serde_json::Value;
use std::fs;

/// Of a plateau, and with failures.
const JUDGE: &str = r#"
stop=$(sed -n 's/^stop_loss_pct = 0*.\([0-9]\).*/\1/p' "$1")
[ "$MUTATION_ID" != exit_mut_000000 ] && [ $((SEED % 7)) = 0 ] && exit 1
echo "-$stop"
"#;

fn evaluated(workers: &str) -> Story {
    let source = "stop_loss_pct = 0.1\ntake_profit_pct = 0.2\nholding_period_days = 5\n";
    let mut story = Story::of(source);
    story.write("judge.sh", JUDGE);
    story.set("batch", "rounds", "4");
    story.set("batch", "mutations_per_round", "9");
    story.set("evaluator", "command", r#"["sh", "judge.sh", "{candidate}"]"#);
    story.set("evaluator", "workers", workers);
    story
}

/// The same as a stream, in which one of three is answered late.
const STREAM: &str = r#"
while read -r line; do
    (
        id=${line#*'"id":"'}; id=${id%%'"'*}
        stop=${line#*'"stop_loss_pct":0.'}; stop=${stop%%[,\}]*}
        case $id in *[258]) sleep 0.02 ;; esac
        echo "{\"id\": \"$id\", \"fitness\": -0.$stop}"
    ) &
done
wait
"#;

fn assert_same(story: &Story, batches: usize) {
    let shown = story.expect(0, &["replay", "--json"]).stdout;
    let rows: Vec<Value> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), batches);
    for (row, id) in rows.iter().zip(story.batches()) {
        assert_eq!(row["result"], "same", "{row}");
        assert_eq!(row["records"], story.lines(&id).len(), "{row}");
    }
}

#[test]
fn any_number_of_workers_is_drawn_again_over_several_nights() {
    for workers in ["1", "3"] {
        let mut story = evaluated(workers);
        story.expect(0, &["run"]);
        story.expect(0, &["run"]);
        story.table(
            "[[variant]]\nname = \"a\"\nparameters_per_mutation = 1\n[[variant]]\nname = \"b\"\nsigma = 0.5\n\
             [[constraint]]\nrule = \"2 * stop_loss_pct < take_profit_pct\"",
        );
        story.expect(0, &["run"]);
        assert_same(&story, 3);
        // Neither today's sources nor today's config matter.
        let name = &story.manifest(&story.newest())["strategies"][0]["path"];
        story.write(name.as_str().unwrap(), "");
        story.set("evolution", "survivors", "1");
        assert_same(&story, 3);
    }
}

#[test]
fn any_number_of_requests_in_flight_comes_to_the_same() {
    let searched = |in_flight: &str| {
        let mut story = evaluated("0");
        story.write("judge.sh", STREAM);
        // Their sources are judged beside one another.
        for name in ["b", "c"] {
            story.write(&format!("strategies/{name}.py"), "stop_loss_pct = 0.15\n");
        }
        story.set("batch", "seed", "5");
        story.set("evaluator", "command", r#"["sh", "judge.sh"]"#);
        story.set("evaluator", "mode", "\"stream\"");
        story.set("evaluator", "in_flight", in_flight);
        story.expect(0, &["run"]);
        story.expect(0, &["run"]);
        assert_same(&story, 2);
        let fields = ["mutation_id", "strategy", "parent", "new_value", "outcome", "fitness"];
        let shape = |line: &Value| {
            // A parent of the night before has that batch's id before its own.
            let values = fields.map(|name| line[name].to_string());
            values.map(|value| value.rsplit('/').next().unwrap_or_default().to_owned()).join(" ")
        };
        let nights = story.batches().into_iter().map(|id| {
            let mut shapes: Vec<String> = story.lines(&id).iter().map(shape).collect();
            shapes.sort();
            shapes
        });
        nights.collect::<Vec<_>>()
    };
    let one = searched("1");
    assert_eq!(one.concat().len(), 2 * 4 * 9);
    assert!(one.iter().flatten().any(|line| line.contains("c.py")), "{one:?}");
    assert!(searched("7") == one);
    assert!(searched("100") == one);
}

#[test]
fn a_batch_without_an_evaluator_is_drawn_again_too() {
    let mut story = Story::new();
    story.expect(0, &["run", "--seed", "7"]);
    story.set("evolution", "parameters_per_mutation", "3");
    story.expect(0, &["run"]);
    story.table("[[variant]]\nname = \"a\"\noperator = \"uniform\"\n[[variant]]\nname = \"b\"");
    story.expect(0, &["run"]);
    assert_same(&story, 3);
}

#[test]
fn the_first_record_that_differs_is_named() {
    let story = evaluated("1");
    story.expect(0, &["run"]);
    let id = story.newest();
    let path = story.audit().sealed(&id);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let is_meant = |line: &&str| line.contains("\"round\":2") && line.contains("\"success\":true");
    let at = lines.iter().position(is_meant).unwrap();
    let value: Value = serde_json::from_str(lines[at]).unwrap();
    for (field, changed) in [
        ("new_value", Value::from(0.199)),
        ("clamped", Value::from(!value["clamped"].as_bool().unwrap())),
        ("parent", Value::from("exit_mut_000099")),
        ("variant", Value::from("b")),
    ] {
        let mut record = value.clone();
        record[field] = changed;
        let record = record.to_string();
        let mut lines = lines.clone();
        lines[at] = &record;
        story.write_bytes(path.to_str().unwrap(), (lines.join("\n") + "\n").as_bytes());
        let said = story.expect(65, &["replay", id.as_str()]).stdout;
        assert!(said.contains(&format!("line {}, ", at + 1)), "{field}: {said}");
        assert!(said.contains(&format!("`{field}`")), "{field}: {said}");
    }
    // What an evaluation said is believed, and so what comes after it would have been drawn otherwise.
    let mut record = value;
    record["fitness"] = 1000.into();
    let record = record.to_string();
    let mut lines = lines.clone();
    lines[at] = &record;
    story.write_bytes(path.to_str().unwrap(), (lines.join("\n") + "\n").as_bytes());
    let said = story.expect(65, &["replay", "latest"]).stdout;
    assert!(!said.contains(&format!("line {}, ", at + 1)), "{said}");
    let said = story.expect(2, &["replay", "20200101T000000Z-000000"]).stderr;
    assert!(said.contains("no sealed batch"), "{said}");
}
