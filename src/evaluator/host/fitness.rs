//! From what an evaluator wrote to a fitness.

use std::collections::BTreeMap;

use super::super::job::Verdict;
use super::super::protocol::Order;
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

/// An answer of a stream worker.
#[derive(Debug, PartialEq)]
pub(super) struct Reply {
    /// The request's.
    pub(super) id: String,
    /// As an error, what is wrong with the answer.
    pub(super) verdict: Result<Verdict, String>,
}

/// An answer of a stream worker; as an error, why nobody can say which request it is for.
pub(super) fn of_answer(line: &[u8]) -> Result<Reply, String> {
    let line = line.trim_ascii();
    let object = match serde_json::from_slice(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(wrong(line, "no JSON object; write logs to stderr")),
        Err(_) => {
            let why = wrong(
                line,
                "no JSON (which has no NaN and no Infinity either); write logs to stderr",
            );
            return id_at_the_beginning(line)
                .map(|id| Reply { id, verdict: Err(why.clone()) })
                .ok_or(why);
        }
    };
    let Some(id) = object.get("id").and_then(Value::as_str) else {
        return Err(wrong(line, "there is no `id` that is a text"));
    };
    let verdict = match object.get("error") {
        None | Some(Value::Null) => of_object(&object).map_err(|why| wrong(line, why)),
        Some(Value::String(error)) => Ok(Verdict::Failed(super::text::with_tail(error, b""))),
        Some(_) => Err(wrong(line, "`error` is no text")),
    };
    Ok(Reply { id: id.to_owned(), verdict })
}

/// What is wrong with an answer to something that was not asked; `only` is what was, where it is one request.
pub(super) fn of_another(line: &[u8], only: Option<&Order>) -> String {
    let why = only.map_or_else(
        || "no request with this id waits for an answer".to_owned(),
        |order| format!("the request's id is {}", quoted(order.mutation_id.as_bytes())),
    );
    wrong(line.trim_ascii(), &why)
}

fn wrong(line: &[u8], why: &str) -> String {
    const EXPECTED: &str =
        "expected one line {\"id\", \"fitness\", \"metrics\"} or {\"id\", \"error\"} per request";
    format!("{EXPECTED}, found {}: {why}", quoted(line))
}

/// The id of an answer that is no JSON for what comes after it, such as a `NaN`.
fn id_at_the_beginning(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"{")?.trim_ascii_start();
    let rest = rest.strip_prefix(b"\"id\"")?.trim_ascii_start().strip_prefix(b":")?;
    serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()
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
        let verdict = |line: &str| {
            let Reply { id, verdict } = of_answer(line.as_bytes()).unwrap();
            assert_eq!(id, "m1", "{line}");
            verdict
        };
        assert_eq!(verdict("{\"id\":\"m1\",\"fitness\":1}\n"), Ok(fitness(1.0, &[])));
        assert_eq!(
            verdict("{\"id\":\"m1\",\"error\":\"no\\ndata\"}"),
            Ok(Verdict::Failed("no\\ndata".to_owned()))
        );
        for line in [
            "{\"id\":\"m1\"}",
            "{\"id\":\"m1\",\"fitness\":NaN}",
            " { \"id\" : \"m1\" , \"fitness\": Infinity}",
            "{\"id\":\"m1\",\"error\":1}",
        ] {
            let why = verdict(line).unwrap_err();
            assert!(why.contains(line.trim()), "{line}: {why}");
        }
        for line in [
            "{\"fitness\":1}",
            "{\"id\":1,\"fitness\":1}",
            "{\"fitness\":NaN,\"id\":\"m1\"}",
            "{\"id\":\"m1",
            "1",
            "loading",
        ] {
            let why = of_answer(line.as_bytes()).unwrap_err();
            assert!(why.contains(line), "{line}: {why}");
        }
    }
}
