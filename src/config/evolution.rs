//! `[evaluator]`, `[evolution]`, `[promote]`, `[[constraint]]`, `[[variant]]`: who judges, what survives, what is compared.

use super::checks::Reader;
use super::diagnosis::nearest;
use super::model::{Evaluator, Evolution, Parameter, Promote, Variant};
use super::parameters::weight;
use super::quantity::duration_text;
use super::{ConfigError, raw};
use crate::evaluator::{EvaluatorError, Mode, PLACEHOLDER, check_command, check_words};
use crate::evolution::{Constraint, ConstraintError, Direction, Settings};
use crate::mutation::{BoundRule, Mutator, MutatorError, Operator};
use std::time::Duration;
use toml::Spanned;

/// Fewer bytes and no interpreter starts.
const LEAST_MEMORY: u64 = 1 << 20;
/// More than a strategy has: a search learns how parameters belong together from attempts that change all.
const ALL_PARAMETERS: u32 = 100;
/// Labels are bounded by the config.
const MOST_VARIANTS: usize = 100;
const MOST_CONSTRAINTS: usize = 1000;

pub(super) fn evaluator(
    reader: &Reader<'_>,
    typed: Option<&Spanned<raw::Evaluator>>,
) -> Result<Option<Evaluator>, ConfigError> {
    let Some(typed) = typed else { return Ok(None) };
    let raw = typed.get_ref();
    let words = reader.required(("[evaluator]", &typed.span()), "command", raw.command.as_ref())?;
    let modes = [("process", Mode::Process), ("stream", Mode::Stream)];
    let mode = reader.choice("mode", raw.mode.as_ref(), &modes)?.unwrap_or(Mode::Process);
    let command = command(reader, words, |command| check_command(command, mode))?;
    let in_flight = reader.whole("in_flight", raw.in_flight.as_ref(), 1, 1..=10_000)?;
    if let Some(typed) = raw.in_flight.as_ref().filter(|_| mode == Mode::Process && in_flight > 1) {
        return Err(reader.invalid(&typed.span(), EvaluatorError::InFlight.to_string()));
    }
    let least = Duration::from_millis(10);
    let memory = raw.memory.as_ref().map(|typed| match typed.get_ref().0 {
        bytes if bytes < LEAST_MEMORY => {
            Err(reader.invalid(&typed.span(), "`memory` must be at least 1MiB"))
        }
        bytes => Ok(bytes),
    });
    // The system counts whole seconds.
    let cpu = raw.cpu.as_ref().map(|typed| {
        let cpu = reader.duration("cpu", Some(typed), Duration::ZERO, Duration::from_secs(1))?;
        if cpu.subsec_nanos() > 0 {
            let message = format!("`cpu` must be whole seconds, not {}", duration_text(cpu));
            return Err(reader.invalid(&typed.span(), message));
        }
        Ok(cpu)
    });
    Ok(Some(Evaluator {
        command,
        mode,
        timeout: reader.duration("timeout", raw.timeout.as_ref(), Duration::from_mins(1), least)?,
        workers: reader.whole("workers", raw.workers.as_ref(), 0, 0..=1024)?,
        in_flight,
        memory: memory.transpose()?,
        cpu: cpu.transpose()?,
    }))
}

pub(super) fn direction(
    reader: &Reader<'_>,
    typed: Option<&Spanned<raw::Evaluator>>,
) -> Result<Direction, ConfigError> {
    let typed = typed.and_then(|typed| typed.get_ref().direction.as_ref());
    let words = Direction::ALL.map(|direction| (direction.as_str(), direction));
    Ok(reader.choice("direction", typed, &words)?.unwrap_or_default())
}

pub(super) fn evolution(
    reader: &Reader<'_>,
    raw: &raw::Evolution,
    direction: Direction,
    is_evaluated: bool,
) -> Result<Evolution, ConfigError> {
    let plain = Settings::default();
    let patience = raw.patience.as_ref();
    let patience = patience
        .map(|typed| reader.whole("patience", Some(typed), 1, 1..=1_000_000))
        .transpose()?;
    Ok(Evolution {
        settings: Settings {
            direction,
            survivors: reader.whole(
                "survivors",
                raw.survivors.as_ref(),
                plain.survivors,
                1..=1000,
            )?,
            memory: reader.whole("memory", raw.memory.as_ref(), plain.memory, 0..=10_000)?,
            patience,
        },
        parameters_per_mutation: parameters_per_mutation(
            reader,
            raw.parameters_per_mutation.as_ref(),
        )?
        .unwrap_or(if is_evaluated { ALL_PARAMETERS } else { 1 }),
    })
}

pub(super) fn promote(reader: &Reader<'_>, raw: &raw::Promote) -> Result<Promote, ConfigError> {
    let min_improvement = raw.min_improvement.as_ref().map_or(0.0, |typed| *typed.get_ref());
    if let Some(typed) = &raw.min_improvement
        && !(min_improvement.is_finite() && min_improvement >= 0.0)
    {
        let message =
            format!("`min_improvement` must be a number of 0 or more, not {min_improvement}");
        return Err(reader.invalid(&typed.span(), message));
    }
    let command =
        raw.command.as_ref().map(|typed| command(reader, typed, check_words)).transpose()?;
    Ok(Promote { command: command.unwrap_or_default(), min_improvement })
}

pub(super) fn constraints(
    reader: &Reader<'_>,
    typed: &[Spanned<raw::Constraint>],
    parameters: &[Parameter],
) -> Result<Vec<Constraint>, ConfigError> {
    reader.count("[[constraint]]", typed, MOST_CONSTRAINTS)?;
    let constraints = typed.iter().map(|table| {
        let raw = table.get_ref();
        let rule = reader.required(("[[constraint]]", &table.span()), "rule", raw.rule.as_ref())?;
        let constraint: Constraint = rule.get_ref().parse().map_err(|error: ConstraintError| {
            reader.invalid(&rule.span(), format!("`rule` {error}"))
        })?;
        let names = || parameters.iter().map(|parameter| parameter.name.as_str());
        let unknown = constraint.names().find(|name| names().all(|known| known != *name));
        match unknown.map(str::to_owned) {
            None => Ok(constraint),
            Some(unknown) => {
                let advice = nearest(&unknown, names())
                    .map_or_else(String::new, |name| format!("; did you mean `{name}`?"));
                let message =
                    format!("`rule` speaks of `{unknown}`, and no parameter has that name{advice}");
                Err(reader.invalid(&rule.span(), message))
            }
        }
    });
    constraints.collect()
}

pub(super) fn variants(
    reader: &Reader<'_>,
    typed: &[Spanned<raw::Variant>],
    parameters: &[Parameter],
) -> Result<Vec<Variant>, ConfigError> {
    reader.count("[[variant]]", typed, MOST_VARIANTS)?;
    let mut variants: Vec<Variant> = Vec::new();
    for table in typed {
        let variant = variant(reader, table, parameters)?;
        if variants.iter().any(|other| other.name == variant.name) {
            let name = table.get_ref().name.as_ref();
            let message = format!("a variant `{}` is already there", variant.name);
            return Err(reader.invalid(&name.map_or_else(|| table.span(), Spanned::span), message));
        }
        variants.push(variant);
    }
    Ok(variants)
}

fn variant(
    reader: &Reader<'_>,
    table: &Spanned<raw::Variant>,
    parameters: &[Parameter],
) -> Result<Variant, ConfigError> {
    let raw = table.get_ref();
    let name = reader.required(("[[variant]]", &table.span()), "name", raw.name.as_ref())?;
    let operators = Operator::ALL.map(|operator| (operator.as_str(), operator));
    let operator = reader.choice("operator", raw.operator.as_ref(), &operators)?;
    let rules = BoundRule::ALL.map(|rule| (rule.as_str(), rule));
    let bounds = reader.choice("bounds", raw.bounds.as_ref(), &rules)?;
    let sigma = raw.sigma.as_ref().map(|typed| *typed.get_ref());
    let mutators = parameters.iter().map(|parameter| {
        mutator(&parameter.mutator, operator, sigma, bounds).map_err(|error| {
            let width = matches!(
                error,
                MutatorError::SigmaOutOfRange { .. } | MutatorError::SigmaWithoutUse { .. }
            );
            let typed = raw.sigma.as_ref().filter(|_| width).map(Spanned::span);
            let at = typed.or_else(|| raw.operator.as_ref().map(Spanned::span));
            let message = format!("{error} (parameter `{}`)", parameter.name);
            reader.invalid(&at.unwrap_or_else(|| table.span()), message)
        })
    });
    Ok(Variant {
        name: reader.name("name", name)?,
        weight: weight(reader, raw.weight.as_ref())?,
        mutators: mutators.collect::<Result<_, _>>()?,
        parameters_per_mutation: parameters_per_mutation(
            reader,
            raw.parameters_per_mutation.as_ref(),
        )?,
        operator,
        sigma,
        bounds,
    })
}

/// The parameter's own way of mutating, with what the variant says otherwise. A σ is one of an operator: with
/// another operator, that one's own is in force where the variant gives none.
fn mutator(
    own: &Mutator,
    operator: Option<Operator>,
    sigma: Option<f64>,
    bounds: Option<BoundRule>,
) -> Result<Mutator, MutatorError> {
    let operator = operator.unwrap_or_else(|| own.operator());
    let inherited = own.sigma().filter(|_| operator == own.operator());
    let rule = bounds.unwrap_or_else(|| own.rule());
    Mutator::new(own.domain().clone(), Some(operator), sigma.or(inherited), rule)
}

fn parameters_per_mutation(
    reader: &Reader<'_>,
    typed: Option<&Spanned<i64>>,
) -> Result<Option<u32>, ConfigError> {
    let allowed = 1..=i64::from(ALL_PARAMETERS);
    typed.map(|typed| reader.whole("parameters_per_mutation", Some(typed), 1, allowed)).transpose()
}

fn command(
    reader: &Reader<'_>,
    typed: &Spanned<Vec<Spanned<String>>>,
    check: impl FnOnce(&[String]) -> Result<(), EvaluatorError>,
) -> Result<Vec<String>, ConfigError> {
    let words = typed.get_ref();
    let command: Vec<String> = words.iter().map(|word| word.get_ref().clone()).collect();
    match check(&command) {
        Ok(()) => Ok(command),
        Err(error) => {
            let word = match error {
                EvaluatorError::Nul(word) => words.get(word - 1),
                EvaluatorError::Candidate => {
                    words.iter().find(|word| word.get_ref().contains(PLACEHOLDER))
                }
                EvaluatorError::Empty
                | EvaluatorError::NoCandidate
                | EvaluatorError::InFlight
                | EvaluatorError::Zero(_) => None,
            };
            Err(reader.invalid(&word.map_or_else(|| typed.span(), Spanned::span), error))
        }
    }
}
