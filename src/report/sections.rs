//! What the page says below its verdict, section by section.

use super::verdict::percent;
use super::{Bounds, Champion, Facts, Night, Surroundings, Values, charts};
use crate::metrics::Status;
use crate::record::Outcome;
use crate::units::{Timestamp, plain, seconds};
use maud::{Markup, PreEscaped, html};
use std::time::Duration;

/// Rows of a table; the charts have all.
const MOST_NIGHTS: usize = 30;
/// Strategies with a chart of their own.
const MOST_STRATEGIES: usize = 8;
/// Rows of errors.
const MOST_ERRORS: usize = 20;
/// Champions with all their changes.
const MOST_CHAMPIONS: usize = 20;
/// Parameters with a chart of their own.
const MOST_PARAMETERS: usize = 24;
/// Rows of outcomes.
const MOST_OUTCOMES: usize = 60;
/// Nights that lie further apart are a gap.
const GAP: Duration = Duration::from_hours(36);

/// All of them, in the order in which somebody asks.
pub(super) fn all(facts: &Facts, around: &Surroundings) -> Markup {
    html! {
        (newest(facts))
        (over_batches(facts))
        (champions(facts, around))
        (fitness(facts))
        (parameters(facts, around))
        (outcomes(facts))
        (errors(facts))
        (slowest(facts))
        (quality(facts, around))
    }
}

/// `2026-11-25 02:00`.
pub(super) fn time(at: Timestamp) -> String {
    at.to_string()[..16].replace('T', " ")
}

fn newest(facts: &Facts) -> Markup {
    let Some(night) = facts.newest() else { return html! {} };
    let batch = &night.batch;
    let targets: Vec<_> =
        batch.targets.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let shard = batch.shard.map(|shard| ("Shard", shard.to_string()));
    let rows = shard.into_iter().chain([
        ("Ended as", status(night).to_owned()),
        (
            "Exit code, before the last push",
            batch.exit_code.map_or("–".to_owned(), |code| code.to_string()),
        ),
        ("Took", batch.seconds.map_or("–".to_owned(), seconds)),
        ("Rounds", batch.rounds.to_string()),
        ("Mutations", night.figures.attempts.to_string()),
        ("Succeeded", night.figures.successes.to_string()),
        ("Evaluated", night.evaluated.to_string()),
        ("Targets", if targets.is_empty() { "–".to_owned() } else { targets.join(", ") }),
    ]);
    html! {
        section {
            h2 { "What happened" }
            table {
                caption { "The newest batch" }
                tbody { @for (name, value) in rows { tr { th scope="row" { (name) } td { (value) } } } }
            }
        }
    }
}

fn status(night: &Night) -> &'static str {
    night.batch.status.map_or("unknown", Status::as_str)
}

fn over_batches(facts: &Facts) -> Markup {
    let nights = &facts.nights;
    if nights.is_empty() {
        return html! {};
    }
    let shown = nights.iter().rev().take(MOST_NIGHTS);
    let of_shards = nights.iter().any(|night| night.batch.shard.is_some());
    let is_usual_known = nights.iter().any(|night| night.usual.is_some());
    html! {
        section {
            h2 { "Batch by batch" }
            .charts {
                (figure(
                    &format!("Success rate of {} batches, newest {}", nights.len(), nights.last().map_or(String::new(), rate)),
                    &charts::success(nights),
                    &html! { "Success rate. Crosses: failed or killed." @if is_usual_known { " Shaded: what was usual, by the batches before." } },
                ))
                (figure(
                    &format!("Durations of the mutations of {} batches", nights.len()),
                    &charts::durations(nights),
                    &html! { "Duration of a mutation: " (first("95th percentile")) ", " (second("median")) "." @if is_usual_known { " Shaded: what was usual for the former." } },
                ))
            }
            (scrolled("Batches", &html! {
                table {
                    caption { @if nights.len() > MOST_NIGHTS { "The newest " (MOST_NIGHTS) " of " (nights.len()) " batches" } @else { "Newest first" } }
                    thead { tr {
                        th scope="col" { "Begun" }
                        @if of_shards { th scope="col" { "Shard" } }
                        th scope="col" { "Ended as" }
                        @for name in ["Mutations", "Succeeded", "Rate", "Median", "95 %", "Took"] { th.number scope="col" { (name) } }
                    } }
                    tbody {
                        @for night in shown {
                            tr {
                                th.when scope="row" { (time(night.batch.started)) }
                                @if of_shards { td { (night.batch.shard.map_or("–".to_owned(), |shard| shard.to_string())) } }
                                td { (status(night)) }
                                td.number { (night.figures.attempts) }
                                td.number { (night.figures.successes) }
                                td.number { (rate(night)) }
                                td.number { (night.duration_p50.map_or("–".to_owned(), seconds)) }
                                td.number { (night.figures.duration_p95.map_or("–".to_owned(), seconds)) }
                                td.number { (night.batch.seconds.map_or("–".to_owned(), seconds)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn rate(night: &Night) -> String {
    if night.figures.attempts == 0 {
        "–".to_owned()
    } else {
        percent(night.figures.success_rate())
    }
}

fn champions(facts: &Facts, around: &Surroundings) -> Markup {
    let is_evaluated = facts.nights.iter().any(|night| night.batch.less_is_better.is_some());
    if around.champions.is_empty() && !is_evaluated {
        return html! {};
    }
    html! {
        section {
            h2 { "Better candidates" }
            @if around.champions.is_empty() { p.soft { "None is known that is better than its source." } }
            @for champion in around.champions.iter().take(MOST_CHAMPIONS) { (one_champion(champion)) }
            @if around.champions.len() > MOST_CHAMPIONS {
                p.soft { "And of " (around.champions.len() - MOST_CHAMPIONS) " more strategies: " code { "mutation-agent best" } "." }
            }
        }
    }
}

fn one_champion(champion: &Champion) -> Markup {
    html! {
        h3 { (champion.strategy) }
        (scrolled(&champion.strategy, &html! {
            table {
                caption { "Fitness " (plain(champion.fitness)) "; its source has " (plain(champion.source_fitness)) }
                thead { tr { th scope="col" { "Parameter" } th.number scope="col" { "From" } th.number scope="col" { "To" } } }
                tbody {
                    @for change in &champion.changes {
                        tr { th scope="row" { (change.parameter) } td.number { (change.from) } td.number { (change.to) } }
                    }
                }
            }
        }))
        @if !champion.diff.is_empty() {
            details { summary { "As a patch of " (champion.strategy) } pre tabindex="0" { (champion.diff) } }
        }
    }
}

fn fitness(facts: &Facts) -> Markup {
    let Some(newest) = facts.newest() else { return html! {} };
    let mut names: Vec<&String> = facts.nights.iter().flat_map(|night| night.best.keys()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return html! {};
    }
    let shown = &names[..names.len().min(MOST_STRATEGIES)];
    html! {
        section {
            h2 { "Fitness" }
            .charts {
                @for name in shown {
                    (figure(
                        &format!("Fitness of {name} by batch"),
                        &charts::fitness(&facts.nights, name),
                        &html! { strong { (name) } ", by batch: " (first("its best candidate")) ", " (second("source")) },
                    ))
                    @if let Some(rounds) = facts.rounds.get(*name) {
                        (figure(
                            &format!("Best fitness of {name} so far, by round of the newest batch"),
                            &charts::rounds(rounds.iter().map(|(round, best)| (*round, *best)), newest.batch.baselines.get(*name).copied()),
                            &html! { strong { (name) } ", by round of the newest batch: " (first("best so far")) ", " (second("source")) },
                        ))
                    }
                }
            }
            @if names.len() > shown.len() { p.soft { "The first " (shown.len()) " of " (names.len()) " strategies." } }
            (scrolled("Fitness of the newest batch", &html! {
                table {
                    caption { "The newest batch" }
                    thead { tr { th scope="col" { "Strategy" } th.number scope="col" { "Source" } th.number scope="col" { "Best candidate" } } }
                    tbody {
                        @for (name, best) in newest.best.iter().take(MOST_NIGHTS) {
                            tr {
                                th scope="row" { (name) }
                                td.number { (newest.batch.baselines.get(name).map_or("–".to_owned(), |fitness| plain(*fitness))) }
                                td.number { (plain(*best)) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn parameters(facts: &Facts, around: &Surroundings) -> Markup {
    if facts.values.is_empty() {
        return html! {};
    }
    let shown = || facts.values.iter().take(MOST_PARAMETERS);
    html! {
        section {
            h2 { "Parameters" }
            .charts {
                @for (name, values) in shown() {
                    @if let Some((bounds, are_known)) = bounds(values, around.bounds.get(name)) {
                        (figure(
                            &format!("Values of {name} before and after"),
                            &charts::values(values, bounds),
                            &html! {
                                strong { (name) } ": " (second("before")) ", " (first("after"))
                                @if !are_known { " (bounds not known)" } @else if values.are_beyond(bounds) { ", some beyond the bounds of the newest configuration, where the lines are" } @else { ", from bound to bound" }
                            },
                        ))
                    }
                }
            }
            (scrolled("Parameters", &html! {
                table {
                    caption { "Over all batches of this report" @if facts.values.len() > MOST_PARAMETERS { ", the first " (MOST_PARAMETERS) " of " (facts.values.len()) " parameters" } }
                    thead { tr {
                        th scope="col" { "Parameter" }
                        @for name in ["Bounds", "Values", "Median before", "Median after", "Left the bounds", "In the newest batch"] { th.number scope="col" { (name) } }
                    } }
                    tbody {
                        @for (name, values) in shown() {
                            tr {
                                th scope="row" { (name) }
                                td.number { (around.bounds.get(name).map_or("–".to_owned(), |bounds| format!("{} – {}", plain(bounds.min), plain(bounds.max)))) }
                                td.number { (values.count()) }
                                td.number { (values.median(false).map_or("–".to_owned(), plain)) }
                                td.number { (values.median(true).map_or("–".to_owned(), plain)) }
                                td.number { (percent(values.clamped_share())) }
                                td.number { (facts.clamping.get(name).map_or("–".to_owned(), |one| percent(one.share()))) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

/// What a chart goes from and to, and whether these are the config's bounds.
fn bounds(values: &Values, known: Option<&Bounds>) -> Option<(Bounds, bool)> {
    if let Some(bounds) = known.filter(|bounds| bounds.min < bounds.max) {
        return Some((*bounds, true));
    }
    let (min, max) = values.extremes()?;
    let room = if min < max || min.fract() == 0.0 { 0.0 } else { min.abs().max(1.0) * 0.01 };
    Some((Bounds { min: min - room, max: max + room }, false))
}

fn outcomes(facts: &Facts) -> Markup {
    let counted = facts.tally.parameters().iter().flat_map(|(parameter, tally)| {
        tally.series().flat_map(move |(variant, operator, counts)| {
            let there = Outcome::ALL.into_iter().filter(|outcome| counts.get(*outcome) > 0);
            there.map(move |outcome| (parameter, operator, variant, outcome, counts.get(outcome)))
        })
    });
    let rows: Vec<_> = counted.collect();
    if rows.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Outcomes" }
            (scrolled("Outcomes", &html! {
                table {
                    caption { "Attempts over all batches of this report" @if rows.len() > MOST_OUTCOMES { ", the first " (MOST_OUTCOMES) " of " (rows.len()) " rows" } }
                    thead { tr { @for name in ["Parameter", "Operator", "Variant", "Outcome"] { th scope="col" { (name) } } th.number scope="col" { "Attempts" } } }
                    tbody {
                        @for (parameter, operator, variant, outcome, count) in rows.iter().take(MOST_OUTCOMES) {
                            tr {
                                td { (parameter) } td { (operator.as_str()) } td { (variant.unwrap_or("–")) }
                                td { (outcome.as_str()) } td.number { (count) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn errors(facts: &Facts) -> Markup {
    let patterns = facts.errors.by_count();
    if patterns.is_empty() {
        return html! {};
    }
    let rest: u64 =
        patterns.iter().skip(MOST_ERRORS).map(|one| one.count).sum::<u64>() + facts.errors.others();
    html! {
        section {
            h2 { "Errors" }
            (scrolled("Errors", &html! {
                table {
                    caption { "By kind: # is a number or an id, … a path or what lies between" }
                    thead { tr { th.number scope="col" { "Times" } th.number scope="col" { "Newest batch" } th scope="col" { "Outcome" } th scope="col" { "Kind" } th scope="col" { "For example" } } }
                    tbody {
                        @for one in patterns.iter().take(MOST_ERRORS) {
                            tr { td.number { (one.count) } td.number { (one.newest) } td { (one.outcome) } td { (one.text) } td { (one.example) " " span.soft { (one.place) } } }
                        }
                    }
                }
            }))
            @if rest > 0 { p.soft { "And " (rest) " of other kinds." } }
        }
    }
}

fn slowest(facts: &Facts) -> Markup {
    let slowest = facts.slowest.in_order();
    if slowest.is_empty() {
        return html! {};
    }
    let what =
        if facts.slowest.are_evaluations() { "Slowest evaluations" } else { "Slowest mutations" };
    html! {
        section {
            h2 { (what) }
            (scrolled(what, &html! {
                table {
                    caption { "Of all batches of this report" }
                    thead { tr { th.number scope="col" { "Took" } th scope="col" { "Mutation" } th scope="col" { "Strategy" } th scope="col" { "Outcome" } } }
                    tbody {
                        @for one in slowest {
                            tr {
                                td.number { (seconds(one.duration.nanos() as f64 / 1e9)) }
                                td { code { (one.batch) "/" (one.mutation) } } td { (one.strategy) } td { (one.outcome) }
                            }
                        }
                    }
                }
            }))
        }
    }
}

fn quality(facts: &Facts, around: &Surroundings) -> Markup {
    let crashed: Vec<_> =
        facts.nights.iter().filter(|night| night.batch.status == Some(Status::Crashed)).collect();
    let gaps: Vec<_> = facts
        .nights
        .windows(2)
        .filter(|pair| pair[1].batch.started.since(pair[0].batch.started) > GAP)
        .collect();
    html! {
        section {
            h2 { "Data quality" }
            ul {
                li { (counted(facts.tally.attempts(), "record", "records")) " in " (counted(facts.nights.len() as u64, "batch", "batches")) "." }
                @match around.findings.as_deref() {
                    None => li { "Not held to its digests: only " code { "report" } " over a whole audit does that." },
                    Some([]) => li { "The chain of digests holds, and each log is as it was sealed." },
                    Some(findings) => @for finding in findings.iter().take(MOST_ERRORS) { li { strong { "Not as it was written: " } (finding) } },
                }
                @for damage in facts.damage.iter().take(MOST_ERRORS) { li { strong { "Missing or damaged: " } (damage) } }
                @if crashed.is_empty() { li { "No batch was killed." } }
                @for night in crashed.iter().rev().take(MOST_ERRORS) { li { "Killed: batch " code { (night.batch.id) } ", with " (night.figures.attempts) " records that count." } }
                @if gaps.is_empty() { li { "No more than 36 hours lie between two batches." } }
                @for pair in gaps.iter().rev().take(MOST_ERRORS) { li { "A gap: no batch between " (time(pair[0].batch.started)) " and " (time(pair[1].batch.started)) "." } }
                @for delivery in &around.deliveries {
                    li { "Gateway " (delivery.gateway) @if delivery.is_delivered { " has taken" } @else { " has not taken" } " the newest totals." }
                }
            }
        }
    }
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn figure(label: &str, svg: &str, caption: &Markup) -> Markup {
    html! {
        figure {
            div role="img" aria-label=(label) { (PreEscaped(svg)) }
            figcaption { (caption) }
        }
    }
}

fn scrolled(label: &str, table: &Markup) -> Markup {
    html! { .scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

fn first(text: &str) -> Markup {
    html! { span.key { span.first aria-hidden="true" { "■ " } (text) } }
}

fn second(text: &str) -> Markup {
    html! { span.key { span.second aria-hidden="true" { "■ " } (text) } }
}
