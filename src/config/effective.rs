//! The config in force, written as TOML: every key, secrets only by the names of their files.

use super::model::{Config, Evaluator, Parameter, Schedule, Variant};
use super::quantity::{duration_text, size_text};
use crate::evaluator::Mode;
use crate::units::{Digest, Kind};
use std::fmt::{self, Write as _};
use std::path::Path;

impl Config {
    /// The config in force as TOML that reads back as the same config.
    ///
    /// Relative paths stay relative to the config's folder, so that the text does not depend on
    /// where that is. Passwords, tokens and keys are not in it; only the names of their files are.
    pub fn to_toml(&self) -> String {
        let mut text = Text::default();
        text.key("data_dir", self.file(&self.data_dir));
        self.write_batch(&mut text);
        self.write_strategies(&mut text);
        for parameter in &self.parameters {
            write_parameter(&mut text, parameter);
        }
        self.write_evolution(&mut text);
        text.table("[output]");
        text.key("dir", self.file(&self.output.dir));
        text.key("keep", self.output.keep);
        text.table("[metrics]");
        if let Some(textfile) = &self.metrics.textfile {
            text.key("textfile", self.file(textfile));
        }
        text.key("buckets", format_args!("{:?}", self.metrics.buckets.seconds()));
        self.write_gateways(&mut text);
        self.write_push(&mut text);
        self.write_audit(&mut text);
        self.schedule.iter().for_each(|schedule| write_schedule(&mut text, schedule));
        text.0
    }

    /// The digest of the config in force, without secrets.
    pub fn digest(&self) -> Digest {
        Digest::of(self.to_toml().as_bytes())
    }

    fn write_batch(&self, text: &mut Text) {
        let batch = &self.batch;
        text.table("[batch]");
        text.key("job", quoted(&batch.job));
        text.key("rounds", batch.rounds);
        text.key("mutations_per_round", batch.mutations_per_round);
        if let Some(seed) = batch.seed {
            text.key("seed", seed);
        }
        let deadline = batch.deadline.map_or_else(|| "none".to_owned(), duration_text);
        text.key("deadline", quoted(&deadline));
        text.key("workers", batch.workers);
        text.key("shutdown_timeout", quoted(&duration_text(batch.shutdown_timeout)));
    }

    fn write_strategies(&self, text: &mut Text) {
        text.table("[strategies]");
        text.key("include", quoted_list(&self.strategies.include));
        text.key("exclude", quoted_list(&self.strategies.exclude));
        text.key("python", quoted(&self.strategies.python.to_string()));
    }

    fn write_evolution(&self, text: &mut Text) {
        for constraint in &self.constraints {
            text.table("[[constraint]]");
            text.key("rule", quoted(&constraint.to_string()));
        }
        self.variants.iter().for_each(|variant| write_variant(text, variant));
        if let Some(evaluator) = &self.evaluator {
            write_evaluator(text, evaluator);
            text.key("direction", quoted(self.evolution.settings.direction.as_str()));
        }
        let settings = &self.evolution.settings;
        text.table("[evolution]");
        text.key("survivors", settings.survivors);
        text.key("parameters_per_mutation", self.evolution.parameters_per_mutation);
        if let Some(patience) = settings.patience {
            text.key("patience", patience);
        }
        text.key("memory", settings.memory);
        text.table("[promote]");
        if !self.promote.command.is_empty() {
            text.key("command", quoted_list(&self.promote.command));
        }
        text.key("min_improvement", format_args!("{:?}", self.promote.min_improvement));
    }

    fn write_gateways(&self, text: &mut Text) {
        for gateway in &self.typed_gateways {
            text.table("[[gateway]]");
            text.key("url", quoted(&gateway.url));
            text.key("name", quoted(&gateway.name));
            let labels = gateway.labels.iter().map(|(label, value)| (key(label), value));
            text.key("grouping", inline(labels));
            text.key("format", quoted(gateway.format));
            if let Some(compression) = gateway.compression {
                text.key("compression", quoted(compression));
            }
            let tables =
                [("basic", &gateway.basic), ("bearer", &gateway.bearer), ("tls", &gateway.tls)];
            for (key, words) in tables {
                if !words.is_empty() {
                    text.key(key, inline(words.iter().map(|(key, value)| (*key, value))));
                }
            }
        }
    }

    fn write_push(&self, text: &mut Text) {
        let retry = self.push.retry;
        let multiplier = retry.multiplier();
        text.table("[push]");
        text.key("interval", quoted(&duration_text(self.push.interval)));
        text.key("attempt_timeout", quoted(&duration_text(self.push.attempt_timeout)));
        text.key("deadline", quoted(&duration_text(self.push.deadline)));
        let (initial, max) =
            (quoted(&duration_text(retry.initial())), quoted(&duration_text(retry.max())));
        let retry = format!("{{ initial = {initial}, max = {max}, multiplier = {multiplier:?} }}");
        text.key("retry", retry);
    }

    fn write_audit(&self, text: &mut Text) {
        let retention = &self.audit.retention;
        text.table("[audit]");
        text.key("dir", self.file(&self.audit.dir));
        text.key("buffer", self.audit.buffer);
        text.key("flush_interval", quoted(&duration_text(self.audit.flush_interval)));
        let (age, bytes) =
            (quoted(&duration_text(retention.age())), quoted(&size_text(retention.bytes())));
        let batches = retention.batches();
        text.key("retention", format!("{{ batches = {batches}, age = {age}, bytes = {bytes} }}"));
        text.key("compress", self.audit.compress);
    }

    /// A path as it would be typed.
    fn file(&self, path: &Path) -> String {
        let typed = path.strip_prefix(&self.base).unwrap_or(path);
        let typed = if typed.as_os_str().is_empty() { Path::new(".") } else { typed };
        quoted(&typed.to_string_lossy())
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_toml())
    }
}

fn write_parameter(text: &mut Text, parameter: &Parameter) {
    let mutator = &parameter.mutator;
    let domain = mutator.domain();
    let (min, max) = domain.bounds();
    text.table("[[parameter]]");
    text.key("name", quoted(&parameter.name));
    text.key("target", quoted(&parameter.selector.to_string()));
    text.key(
        "type",
        match domain.kind() {
            Kind::Float => "\"float\"",
            Kind::Int => "\"int\"",
        },
    );
    text.key("min", min);
    text.key("max", max);
    text.key("step", domain.step());
    text.key("operator", quoted(mutator.operator().as_str()));
    if let Some(sigma) = mutator.sigma() {
        text.key("sigma", format_args!("{sigma:?}"));
    }
    text.key("bounds", quoted(mutator.rule().as_str()));
    text.key("weight", format_args!("{:?}", parameter.weight));
    if let Some(occurrence) = parameter.occurrence {
        text.key("occurrence", occurrence);
    }
}

fn write_variant(text: &mut Text, variant: &Variant) {
    text.table("[[variant]]");
    text.key("name", quoted(&variant.name));
    text.key("weight", format_args!("{:?}", variant.weight));
    if let Some(operator) = variant.operator {
        text.key("operator", quoted(operator.as_str()));
    }
    if let Some(sigma) = variant.sigma {
        text.key("sigma", format_args!("{sigma:?}"));
    }
    if let Some(bounds) = variant.bounds {
        text.key("bounds", quoted(bounds.as_str()));
    }
    if let Some(count) = variant.parameters_per_mutation {
        text.key("parameters_per_mutation", count);
    }
}

fn write_evaluator(text: &mut Text, evaluator: &Evaluator) {
    text.table("[evaluator]");
    text.key("command", quoted_list(&evaluator.command));
    text.key(
        "mode",
        match evaluator.mode {
            Mode::Process => "\"process\"",
            Mode::Stream => "\"stream\"",
        },
    );
    text.key("timeout", quoted(&duration_text(evaluator.timeout)));
    text.key("workers", evaluator.workers);
    if evaluator.mode == Mode::Stream {
        text.key("in_flight", evaluator.in_flight);
    }
    if let Some(memory) = evaluator.memory {
        text.key("memory", quoted(&size_text(memory)));
    }
    if let Some(cpu) = evaluator.cpu {
        text.key("cpu", quoted(&duration_text(cpu)));
    }
}

fn write_schedule(text: &mut Text, schedule: &Schedule) {
    text.table("[schedule]");
    text.key("cron", quoted(&schedule.cron));
    text.key("time_zone", quoted(&schedule.time_zone));
    text.key("catch_up", quoted(schedule.timetable.catch_up().as_str()));
    text.key("catch_up_deadline", quoted(&duration_text(schedule.catch_up_deadline)));
    text.key("splay", quoted(&duration_text(schedule.splay)));
}

/// TOML in the making.
#[derive(Default)]
struct Text(String);

impl Text {
    fn table(&mut self, header: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "\n{header}\n");
    }

    fn key(&mut self, key: &str, value: impl fmt::Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }
}

/// A key, quoted where it must be.
fn key(text: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(bare) { text.to_owned() } else { quoted(text) }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", texts.join(", "))
}

fn inline<'a, K: fmt::Display>(entries: impl Iterator<Item = (K, &'a String)>) -> String {
    let entries: Vec<String> =
        entries.map(|(key, value)| format!("{key} = {}", quoted(value))).collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
