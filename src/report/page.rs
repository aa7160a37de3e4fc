//! The page: one file, no network, no script.

use super::sections;
use super::{Facts, Grade, Surroundings, Verdict};
use crate::units::is_unprintable;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("style.css");

/// The whole page. The same facts give the same page.
pub fn page(facts: &Facts, around: &Surroundings, verdict: &Verdict) -> String {
    let title =
        facts.newest().map_or("no batch".to_owned(), |night| sections::time(night.batch.started));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(concat!("mutation-agent ", env!("CARGO_PKG_VERSION")));
                title { (verdict.grade.in_words()) ": mutation-agent, " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class=(class(verdict.grade)) { (top(verdict, facts, around)) }
                main { (sections::all(facts, around)) }
                footer { p { "Made by mutation-agent " (env!("CARGO_PKG_VERSION")) " from its audit. Times are UTC." } }
            }
        }
    };
    // What people and programs wrote is in it, and no markup by now; nor may it be anything else than text.
    let text = page.into_string();
    text.chars()
        .map(|c| if is_unprintable(c) && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c })
        .collect()
}

fn top(verdict: &Verdict, facts: &Facts, around: &Surroundings) -> Markup {
    html! {
        h1 { span aria-hidden="true" { (sign(verdict.grade)) " " } (verdict.grade.in_words()) }
        @if let Some(night) = facts.newest() {
            p { "Batch " code { (night.batch.id) } @if !around.of.is_empty() { " of " (around.of) } ", begun " (sections::time(night.batch.started)) }
        }
        ul.reasons {
            @for reason in &verdict.reasons {
                li class=(class(reason.grade)) {
                    span.sign aria-hidden="true" { (sign(reason.grade)) }
                    span { @if reason.grade != Grade::Good { strong { (level(reason.grade)) } " " } (reason.text) }
                }
            }
        }
    }
}

const fn level(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "Good:",
        Grade::Look => "Look:",
        Grade::Bad => "Bad:",
    }
}

const fn sign(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "✓",
        Grade::Look => "!",
        Grade::Bad => "✕",
    }
}

const fn class(grade: Grade) -> &'static str {
    match grade {
        Grade::Good => "good",
        Grade::Look => "look",
        Grade::Bad => "bad",
    }
}
