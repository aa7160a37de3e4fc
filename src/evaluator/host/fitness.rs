//! From what an evaluator wrote to a fitness.

use std::collections::BTreeMap;

use super::super::job::Verdict;
use super::capture::Line;
use super::text::quoted;
use serde_json::{Map, Value};

/// The last line of a process: a number, or an object with one.
pub(super) fn of_last_line(line: &Line) -> Verdict {
    const EXPECTED: &str = "expected a finite number or {\"fitness\": number, \"metrics\": {name: number}} \
                            on the last line of standard output";
    let invalid = |found: &str| Verdict::Invalid(format!("{EXPECTED}, found {found}"));
    let Some(bytes) = line.whole() else {
        return invalid(&format!("a line of more than 64 KiB, {}", quoted(line.kept())));
    };
    if bytes.is_empty() {
        return invalid("nothing");
    }
    let text = std::str::from_utf8(bytes).ok();
    // Not only JSON's numbers: `.5`, `5.` and `+1` are plain enough.
    if let Some(fitness) = text.and_then(|text| text.parse::<f64>().ok()) {
        return if fitness.is_finite() {
            Verdict::Fitness { fitness, metrics: BTreeMap::new() }
        } else {
            invalid(&quoted(bytes))
        };
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => {
            of_object(&object).unwrap_or_else(|why| invalid(&format!("{}: {why}", quoted(bytes))))
        }
        Ok(_) | Err(_) => invalid(&quoted(bytes)),
    }
}

/// An answer of a stream worker to the request `id`; as an error, what is wrong with it.
pub(super) fn of_answer(line: &[u8], id: &str) -> Result<Verdict, String> {
    const EXPECTED: &str =
        "expected one line {\"id\", \"fitness\", \"metrics\"} or {\"id\", \"error\"} per request";
    let line = line.trim_ascii();
    let wrong = |why: &str| format!("{EXPECTED}, found {}: {why}", quoted(line));
    let object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(wrong("no JSON object; write logs to stderr")),
        Err(_) => {
            return Err(wrong(
                "no JSON (which has no NaN and no Infinity either); write logs to stderr",
            ));
        }
    };
    if object.get("id").and_then(Value::as_str) != Some(id) {
        return Err(wrong(&format!("the request's id is {}", quoted(id.as_bytes()))));
    }
    match object.get("error") {
        None | Some(Value::Null) => of_object(&object).map_err(wrong),
        Some(Value::String(error)) => Ok(Verdict::Failed(super::text::with_tail(error, b""))),
        Some(_) => Err(wrong("`error` is no text")),
    }
}

fn of_object(object: &Map<String, Value>) -> Result<Verdict, &'static str> {
    // A literal beyond a double's range is refused by the parser, so what is a number is finite.
    let fitness = object.get("fitness").ok_or("there is no `fitness`")?;
    let fitness = fitness.as_f64().ok_or("`fitness` is no number")?;
    let metrics = match object.get("metrics") {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(metrics)) => {
            let pairs = metrics.iter().map(|(name, value)| Some((name.clone(), value.as_f64()?)));
            pairs.collect::<Option<_>>().ok_or("a value in `metrics` is no number")?
        }
        Some(_) => return Err("`metrics` is no object"),
    };
    Ok(Verdict::Fitness { fitness, metrics })
}

#[cfg(test)]
mod tests {
    use super::super::capture::Output;
    use super::*;

    fn last(text: &str) -> Verdict {
        let mut output = Output::Last(super::super::capture::LastLine::default());
        output.take(text.as_bytes());
        let Output::Last(last) = &output else { unreachable!() };
        of_last_line(last.get())
    }

    fn fitness(value: f64, metrics: &[(&str, f64)]) -> Verdict {
        let metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Verdict::Fitness { fitness: value, metrics }
    }

    #[test]
    fn a_number_or_an_object_on_the_last_line_is_a_fitness() {
        for (text, value) in [
            ("1.5", 1.5),
            ("-0.25\n", -0.25),
            ("noise\n 1e-05 \r\n\n \n", 1e-5),
            ("7", 7.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+1", 1.0),
            ("{\"fitness\": 2}", 2.0),
            ("{\"fitness\": 2.0, \"metrics\": null, \"more\": [1]}", 2.0),
        ] {
            assert_eq!(last(text), fitness(value, &[]), "{text}");
        }
        let both = "{\"fitness\": 0.1, \"metrics\": {\"trades\": 3, \"sharpe\": -1.5}}";
        assert_eq!(last(both), fitness(0.1, &[("trades", 3.0), ("sharpe", -1.5)]));
    }

    #[test]
    fn anything_else_is_invalid_and_says_what_was_read() {
        for text in [
            "",
            "\n\n",
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "1e999",
            "null",
            "true",
            "\"1\"",
            "[1]",
            "1 2",
            "1,5",
            "fitness: 1",
            "{}",
            "{\"fitness\": null}",
            "{\"fitness\": \"1\"}",
            "{\"fitness\": NaN}",
            "{\"fitness\": 1e999}",
            "{\"fitness\": 1, \"metrics\": [1]}",
            "{\"fitness\": 1, \"metrics\": {\"a\": null}}",
            "{\"fitness\": 1",
            "0.5\ntext",
            "\u{1b}[31m1",
        ] {
            let Verdict::Invalid(why) = last(text) else { panic!("{text}: {:?}", last(text)) };
            let shown = quoted(text.lines().next_back().unwrap_or("").as_bytes());
            assert!(why.contains(&shown) || why.ends_with("found nothing"), "{text}: {why}");
        }
    }

    #[test]
    fn an_answer_has_the_id_of_its_request() {
        let answer = |line: &str| of_answer(line.as_bytes(), "m1");
        assert_eq!(answer("{\"id\":\"m1\",\"fitness\":1}\n"), Ok(fitness(1.0, &[])));
        assert_eq!(
            answer("{\"id\":\"m1\",\"error\":\"no\\ndata\"}"),
            Ok(Verdict::Failed("no\\ndata".to_owned()))
        );
        for line in [
            "{\"id\":\"m2\",\"fitness\":1}",
            "{\"fitness\":1}",
            "{\"id\":1,\"fitness\":1}",
            "1",
            "loading",
            "{\"id\":\"m1\"}",
            "{\"id\":\"m1\",\"fitness\":NaN}",
            "{\"id\":\"m1\",\"error\":1}",
        ] {
            let why = answer(line).unwrap_err();
            assert!(why.contains(line), "{line}: {why}");
        }
    }
}
