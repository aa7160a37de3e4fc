//! `[[parameter]]`: the numbers that are mutated.

use super::checks::Reader;
use super::model::Parameter;
use super::{ConfigError, raw};
use crate::mutation::{BoundRule, Domain, Mutator, Operator};
use crate::strategy::SelectorError;
use crate::units::{Decimal, Kind, Number};
use toml::Spanned;

const TABLE: &str = "[[parameter]]";
const MOST: usize = 1000;

/// What is mutated where no `[[parameter]]` says otherwise.
const DEFAULTS: [(&str, Number, Number); 4] = [
    ("stop_loss_pct", Number::Float(0.01), Number::Float(0.20)),
    ("take_profit_pct", Number::Float(0.05), Number::Float(0.50)),
    ("trailing_stop_offset", Number::Float(0.005), Number::Float(0.05)),
    ("holding_period_days", Number::Int(1), Number::Int(60)),
];

const KINDS: [(&str, Kind); 2] = [("float", Kind::Float), ("int", Kind::Int)];
pub(super) fn parameters(
    reader: &Reader<'_>,
    typed: &[Spanned<raw::Parameter>],
) -> Result<Vec<Parameter>, ConfigError> {
    if typed.is_empty() {
        return DEFAULTS
            .into_iter()
            .map(|default| parameter(reader, &default_table(default)))
            .collect();
    }
    reader.count(TABLE, typed, MOST)?;
    let mut parameters: Vec<Parameter> = Vec::new();
    for table in typed {
        let parameter = parameter(reader, table)?;
        if let Some(at) = parameters.iter().position(|other| other.name == parameter.name) {
            let name = table.get_ref().name.as_ref();
            let first = typed[at].get_ref().name.as_ref();
            let line = first.map_or(0, |first| reader.source.line(&first.span()));
            let message =
                format!("a parameter `{}` is already there, on line {line}", parameter.name);
            return Err(reader.invalid(&name.map_or_else(|| table.span(), Spanned::span), message));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

fn default_table((name, min, max): (&str, Number, Number)) -> Spanned<raw::Parameter> {
    let table = raw::Parameter {
        name: Some(Spanned::new(0..0, name.to_owned())),
        min: Some(Spanned::new(0..0, min)),
        max: Some(Spanned::new(0..0, max)),
        ..raw::Parameter::default()
    };
    Spanned::new(0..0, table)
}

fn parameter(
    reader: &Reader<'_>,
    table: &Spanned<raw::Parameter>,
) -> Result<Parameter, ConfigError> {
    let raw = table.get_ref();
    let typed_name = reader.required((TABLE, &table.span()), "name", raw.name.as_ref())?;
    let name = reader.name("name", typed_name)?;
    let domain = domain(reader, table)?;
    let target = raw.target.as_ref().unwrap_or(typed_name);
    let selector = target.get_ref().parse().map_err(|error: SelectorError| {
        let advice = if raw.target.is_some() { "" } else { "; say with `target` where it stands" };
        reader.invalid(&target.span(), format!("{error}{advice}"))
    })?;
    Ok(Parameter {
        selector,
        mutator: mutator(reader, table, domain)?,
        weight: weight(reader, raw.weight.as_ref())?,
        occurrence: raw
            .occurrence
            .as_ref()
            .map(|typed| reader.whole("occurrence", Some(typed), 1, 1..=1_000_000))
            .transpose()?,
        name,
    })
}

fn domain(reader: &Reader<'_>, table: &Spanned<raw::Parameter>) -> Result<Domain, ConfigError> {
    let raw = table.get_ref();
    let typed_min = reader.required((TABLE, &table.span()), "min", raw.min.as_ref())?;
    let typed_max = reader.required((TABLE, &table.span()), "max", raw.max.as_ref())?;
    let is_int = |typed: &Spanned<Number>| matches!(typed.get_ref(), Number::Int(_));
    let looks_int = is_int(typed_min) && is_int(typed_max) && raw.step.as_ref().is_none_or(is_int);
    let guess = if looks_int { Kind::Int } else { Kind::Float };
    let kind = reader.choice("type", raw.kind.as_ref(), &KINDS)?.unwrap_or(guess);

    let min = decimal(reader, "min", typed_min, kind)?;
    let max = decimal(reader, "max", typed_max, kind)?;
    if min.to_f64() >= max.to_f64() {
        let line = |typed: &Spanned<Number>| reader.source.line(&typed.span());
        let (min_line, max_line) = (line(typed_min), line(typed_max));
        let message = format!(
            "`min` ({min}, line {min_line}) must be less than `max` ({max}, line {max_line})"
        );
        return Err(reader.invalid(&typed_min.span(), message));
    }
    let step = match (&raw.step, kind) {
        (Some(typed), kind) => positive(reader, typed, kind)?,
        (None, Kind::Int) => default_step(1, 0),
        (None, Kind::Float) => default_step(1, 3),
    };
    Domain::new(kind, min, max, step).map_err(|error| {
        // The bounds are in order, so that it is the step that does not suit them.
        reader.invalid(&raw.step.as_ref().unwrap_or(typed_min).span(), error)
    })
}

/// 1 and 0.001 are within any limit; the other branch cannot be.
fn default_step(mantissa: i64, scale: u8) -> Decimal {
    Decimal::new(mantissa, scale).unwrap_or_else(|| default_step(1, 0))
}

fn positive(
    reader: &Reader<'_>,
    typed: &Spanned<Number>,
    kind: Kind,
) -> Result<Decimal, ConfigError> {
    let step = decimal(reader, "step", typed, kind)?;
    if step.mantissa() <= 0 {
        return Err(
            reader.invalid(&typed.span(), format!("`step` must be more than 0, not {step}"))
        );
    }
    Ok(step)
}

fn decimal(
    reader: &Reader<'_>,
    key: &str,
    typed: &Spanned<Number>,
    kind: Kind,
) -> Result<Decimal, ConfigError> {
    let number = *typed.get_ref();
    let decimal = match number {
        Number::Int(value) => Decimal::new(value, 0)
            .ok_or_else(|| "has more digits than a double can hold".to_owned()),
        Number::Float(value) if !value.is_finite() => Err("is not a finite number".to_owned()),
        Number::Float(value) => Decimal::from_f64(value).map_err(|_| {
            "has more digits than a double can hold, or more than 18 decimals".to_owned()
        }),
    };
    let decimal = decimal.and_then(|decimal| {
        let whole = decimal.trimmed().scale() == 0;
        let fits = kind == Kind::Float || whole;
        fits.then_some(decimal).ok_or_else(|| "is not whole, and the `type` is \"int\"".to_owned())
    });
    decimal.map_err(|problem| reader.invalid(&typed.span(), format!("`{key}` {problem}: {number}")))
}

fn mutator(
    reader: &Reader<'_>,
    table: &Spanned<raw::Parameter>,
    domain: Domain,
) -> Result<Mutator, ConfigError> {
    let raw = table.get_ref();
    let operators = Operator::ALL.map(|operator| (operator.as_str(), operator));
    let operator = reader.choice("operator", raw.operator.as_ref(), &operators)?;
    let rules = BoundRule::ALL.map(|rule| (rule.as_str(), rule));
    let rule = reader.choice("bounds", raw.bounds.as_ref(), &rules)?.unwrap_or_default();
    let span_of_min = || raw.min.as_ref().map_or_else(|| table.span(), Spanned::span);
    // First without the width, so that what is then refused is the width's fault.
    let plain = Mutator::new(domain.clone(), operator, None, rule).map_err(|error| {
        let at = raw.operator.as_ref().map_or_else(span_of_min, Spanned::span);
        reader.invalid(&at, error)
    })?;
    let Some(sigma) = &raw.sigma else { return Ok(plain) };
    Mutator::new(domain, operator, Some(*sigma.get_ref()), rule)
        .map_err(|error| reader.invalid(&sigma.span(), error))
}

pub(super) fn weight(
    reader: &Reader<'_>,
    typed: Option<&Spanned<f64>>,
) -> Result<f64, ConfigError> {
    let Some(typed) = typed else { return Ok(1.0) };
    let weight = *typed.get_ref();
    if !(1e-6..=1e6).contains(&weight) {
        let message = format!("`weight` must be a number from 0.000001 to 1000000, not {weight}");
        return Err(reader.invalid(&typed.span(), message));
    }
    Ok(weight)
}
