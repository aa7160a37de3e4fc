//! What the figures say, in sentences.

use super::figures::{Comparison, RankFigures, Spread, Verdict};
use super::{Basis, Interval, Needed};
use crate::evolution::Direction;
use crate::units::{plain, seconds};

/// The success rate, then fitness, then durations, where there are any.
pub fn sentences(comparison: &Comparison) -> Vec<String> {
    let (a, b) = (&comparison.a, &comparison.b);
    let direction = comparison.fitness_direction;
    let fitness = Words {
        what: "fitness",
        wished: if direction.is_some() { "better fitness" } else { "greater fitness" },
        less_wins: direction == Some(Direction::Minimize),
        show: plain,
    };
    let durations =
        Words { what: "duration", wished: "shorter mutations", less_wins: true, show: seconds };
    let evaluations = Words { what: "evaluation", wished: "shorter evaluations", ..durations };
    let say = |words: Words, ranks: &Option<RankFigures>, a: &Spread, b: &Spread| {
        ranks.as_ref().map(|ranks| words.say(ranks, a, b, comparison.confidence))
    };
    let fitness = say(fitness, &comparison.fitness, &a.fitness, &b.fitness);
    let (of_a, of_b) = (&a.evaluation_seconds, &b.evaluation_seconds);
    let evaluations = say(evaluations, &comparison.evaluation_seconds, of_a, of_b);
    let (of_a, of_b) = (&a.duration_seconds, &b.duration_seconds);
    let durations = say(durations, &comparison.duration_seconds, of_a, of_b);
    let others = [fitness, durations, evaluations].into_iter().flatten();
    std::iter::once(success(comparison)).chain(others).collect()
}

fn success(comparison: &Comparison) -> String {
    let rates = &comparison.success_rate;
    let (a, b) = (percent(comparison.a.success_rate), percent(comparison.b.success_rate));
    let interval = rates.interval_over_batches.unwrap_or(rates.interval);
    let by = format!(
        "{} points ({})",
        points(rates.difference),
        within(interval, comparison.confidence, points)
    );
    match comparison.verdict {
        Verdict::BHigher => format!("B succeeds more often than A: {b} against {a}, {by}."),
        Verdict::AHigher => {
            format!("B succeeds less often than A: {b} against {a}, {by}.")
        }
        Verdict::Undecided => {
            let needed = rates.needed.as_ref().map_or(String::new(), |needed| {
                let one = format!("one of {:.1} points", needed.difference.abs() * 100.0);
                more(needed, "attempts", &one)
            });
            format!("No difference in success can be told: A {a}, B {b}, {by}{needed}.")
        }
    }
}

/// How to speak of numbers.
#[derive(Clone, Copy)]
struct Words {
    what: &'static str,
    /// What the set that is named first has.
    wished: &'static str,
    /// Less is better.
    less_wins: bool,
    show: fn(f64) -> String,
}

impl Words {
    fn say(&self, ranks: &RankFigures, a: &Spread, b: &Spread, confidence: f64) -> String {
        let show = |value: Option<f64>| value.map_or("-".to_owned(), self.show);
        let (a, b) = (show(a.median), show(b.median));
        let p = p_value(ranks.p_value);
        if ranks.p_value >= 1.0 - confidence {
            let needed = ranks.needed.as_ref().map_or(String::new(), |needed| {
                let one = match needed.basis {
                    Basis::Observed => "the effect that was observed",
                    Basis::Relevant => "a small effect",
                };
                more(needed, "samples", one)
            });
            return format!(
                "No difference in {} can be told: median A {a}, B {b} ({p}){needed}.",
                self.what
            );
        }
        let b_greater = ranks.cliffs_delta > 0.0;
        // Who has what is to be wished for comes first.
        let b_first = b_greater != self.less_wins;
        let word = self.wished;
        let (first, second, one, other) = if b_first { ("B", "A", b, a) } else { ("A", "B", a, b) };
        format!(
            "{first} tends to have {word} than {second}: median {one} against {other} ({p}), a {} effect.",
            ranks.effect.as_str()
        )
    }
}

/// `p = 0.012`: nothing is as sure as 0.000.
pub fn p_value(p: f64) -> String {
    if p < 0.001 { "p < 0.001".to_owned() } else { format!("p = {p:.3}") }
}

/// What it would take, as the end of a sentence.
fn more(needed: &Needed, what: &str, one: &str) -> String {
    match (needed.more_a, needed.more_b) {
        (0, 0) => format!("; {one} would most likely have shown"),
        (a, b) if a == b => format!("; about {} more {what} of each would show {one}", count(a)),
        (a, 0) => format!("; about {} more {what} of A would show {one}", count(a)),
        (0, b) => format!("; about {} more {what} of B would show {one}", count(b)),
        (a, b) => {
            format!("; about {} more {what} of A and {} of B would show {one}", count(a), count(b))
        }
    }
}

/// To two digits, with commas: more would pretend to know.
fn count(number: u64) -> String {
    let digits = number.checked_ilog10().unwrap_or(0);
    let unit = 10_u64.pow(digits.saturating_sub(1));
    let text = (number.div_ceil(unit) * unit).to_string();
    let mut grouped = String::new();
    for (at, digit) in text.chars().enumerate() {
        if at > 0 && (text.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn within(interval: Interval, confidence: f64, show: fn(f64) -> String) -> String {
    // Free of what 0.999 * 100 leaves behind.
    let share = (confidence * 1e4).round() / 100.0;
    format!("{share} % interval {} to {}", show(interval.0), show(interval.1))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A difference of shares, in points. One that rounds to nothing has no direction: it is `+0.0`.
pub fn points(difference: f64) -> String {
    format!("{:+.1}", (difference * 1e3).round() / 10.0 + 0.0)
}
