//! agent.toml as it is typed: the keys and their types, nothing judged.
//!
//! Every value that is judged later carries its place. Adding a key here makes it known; the rest of
//! this folder says what it means and what its default is, and `agent.toml.example` documents it.

use super::quantity::{DurationText, LimitText, SizeText};
use crate::units::Number;
use serde::Deserialize;
use std::collections::BTreeMap;
use toml::Spanned;

/// A value that may be left out.
pub(super) type Maybe<T> = Option<Spanned<T>>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Raw {
    pub(super) data_dir: Maybe<String>,
    pub(super) batch: Batch,
    pub(super) strategies: Strategies,
    pub(super) parameter: Vec<Spanned<Parameter>>,
    pub(super) constraint: Vec<Spanned<Constraint>>,
    pub(super) variant: Vec<Spanned<Variant>>,
    pub(super) evaluator: Maybe<Evaluator>,
    pub(super) evolution: Evolution,
    pub(super) promote: Promote,
    pub(super) output: Output,
    pub(super) metrics: Metrics,
    pub(super) gateway: Vec<Spanned<Gateway>>,
    pub(super) push: Push,
    pub(super) audit: Audit,
    pub(super) schedule: Maybe<Schedule>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Batch {
    pub(super) job: Maybe<String>,
    pub(super) rounds: Maybe<i64>,
    pub(super) mutations_per_round: Maybe<i64>,
    pub(super) seed: Maybe<u64>,
    pub(super) deadline: Maybe<LimitText>,
    pub(super) workers: Maybe<i64>,
    pub(super) shutdown_timeout: Maybe<DurationText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Strategies {
    pub(super) include: Vec<Spanned<String>>,
    pub(super) exclude: Vec<Spanned<String>>,
    pub(super) python: Maybe<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Parameter {
    pub(super) name: Maybe<String>,
    pub(super) target: Maybe<String>,
    #[serde(rename = "type")]
    pub(super) kind: Maybe<String>,
    pub(super) min: Maybe<Number>,
    pub(super) max: Maybe<Number>,
    pub(super) step: Maybe<Number>,
    pub(super) operator: Maybe<String>,
    pub(super) sigma: Maybe<f64>,
    pub(super) bounds: Maybe<String>,
    pub(super) weight: Maybe<f64>,
    pub(super) occurrence: Maybe<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Constraint {
    pub(super) rule: Maybe<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Variant {
    pub(super) name: Maybe<String>,
    pub(super) weight: Maybe<f64>,
    pub(super) operator: Maybe<String>,
    pub(super) sigma: Maybe<f64>,
    pub(super) bounds: Maybe<String>,
    pub(super) parameters_per_mutation: Maybe<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Evaluator {
    pub(super) command: Maybe<Vec<Spanned<String>>>,
    pub(super) mode: Maybe<String>,
    pub(super) direction: Maybe<String>,
    pub(super) timeout: Maybe<DurationText>,
    pub(super) workers: Maybe<i64>,
    pub(super) in_flight: Maybe<i64>,
    pub(super) memory: Maybe<SizeText>,
    pub(super) cpu: Maybe<DurationText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Evolution {
    pub(super) survivors: Maybe<i64>,
    pub(super) parameters_per_mutation: Maybe<i64>,
    pub(super) patience: Maybe<i64>,
    pub(super) memory: Maybe<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Promote {
    pub(super) command: Maybe<Vec<Spanned<String>>>,
    pub(super) min_improvement: Maybe<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Output {
    pub(super) dir: Maybe<String>,
    pub(super) keep: Maybe<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Metrics {
    pub(super) textfile: Maybe<String>,
    pub(super) buckets: Maybe<Vec<Spanned<f64>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Gateway {
    pub(super) url: Maybe<String>,
    pub(super) name: Maybe<String>,
    pub(super) grouping: Maybe<BTreeMap<Spanned<String>, Spanned<String>>>,
    pub(super) format: Maybe<String>,
    pub(super) compression: Maybe<String>,
    pub(super) basic: Maybe<Basic>,
    pub(super) bearer: Maybe<Bearer>,
    pub(super) tls: Maybe<Tls>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table like { user = \"…\", password_file = \"…\" }"
)]
pub(super) struct Basic {
    pub(super) user: Maybe<String>,
    pub(super) password_file: Maybe<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table like { token_file = \"…\" }")]
pub(super) struct Bearer {
    pub(super) token_file: Maybe<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table like { ca_file = \"…\" }")]
#[expect(clippy::struct_field_names, reason = "the names are the file's")]
pub(super) struct Tls {
    pub(super) ca_file: Maybe<String>,
    pub(super) cert_file: Maybe<String>,
    pub(super) key_file: Maybe<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Push {
    pub(super) interval: Maybe<DurationText>,
    pub(super) attempt_timeout: Maybe<DurationText>,
    pub(super) deadline: Maybe<DurationText>,
    pub(super) retry: Maybe<Retry>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table like { initial = \"500ms\" }")]
pub(super) struct Retry {
    pub(super) initial: Maybe<DurationText>,
    pub(super) max: Maybe<DurationText>,
    pub(super) multiplier: Maybe<f64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Audit {
    pub(super) dir: Maybe<String>,
    pub(super) buffer: Maybe<i64>,
    pub(super) flush_interval: Maybe<DurationText>,
    pub(super) retention: Retention,
    pub(super) compress: Maybe<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table like { batches = 400 }")]
pub(super) struct Retention {
    pub(super) batches: Maybe<i64>,
    pub(super) age: Maybe<DurationText>,
    pub(super) bytes: Maybe<SizeText>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table")]
pub(super) struct Schedule {
    pub(super) cron: Maybe<String>,
    pub(super) time_zone: Maybe<String>,
    pub(super) catch_up: Maybe<String>,
    pub(super) catch_up_deadline: Maybe<DurationText>,
    pub(super) splay: Maybe<DurationText>,
}
