//! What the TOML reader found wrong, in the words of this file's readers.
//!
//! serde says which key it does not know and which it does, but only as text; that text is taken
//! apart here, and nowhere else. Text of another shape is passed on as it is.

use super::raw::Raw;
use super::source::{Source, printable};
use super::{ConfigError, KnownNames};
use serde::Deserialize as _;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// Reads a config's text into its serde twin.
pub(super) fn read(source: Source<'_>) -> Result<Raw, ConfigError> {
    let table = DeTable::parse(source.text).map_err(|error| ConfigError::Syntax {
        at: source.at(&error.span().unwrap_or_default()),
        message: printable(error.message()),
    })?;
    Raw::deserialize(toml::Deserializer::from(table)).map_err(|error| diagnose(source, &error))
}

fn diagnose(source: Source<'_>, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or_default();
    let place = DeTable::parse(source.text)
        .ok()
        .and_then(|root| find(root.get_ref(), &span, &mut Vec::new()))
        .unwrap_or_default();
    let message = error.message();
    unknown_key(source, &span, &place, message)
        .or_else(|| wrong_type(source, &span, &place, message))
        .unwrap_or_else(|| source.invalid(&span, format!("{}{message}", place.subject())))
}

fn unknown_key(
    source: Source<'_>,
    span: &Range<usize>,
    place: &Place,
    message: &str,
) -> Option<ConfigError> {
    // The key may itself hold anything, known names cannot.
    let (key, expected) = message.strip_prefix("unknown field `")?.rsplit_once("`, expected ")?;
    let known: Vec<String> =
        expected.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
    Some(ConfigError::UnknownKey {
        at: source.at(span),
        key: printable(key),
        table: place.table.clone().unwrap_or_else(|| "at the top level".to_owned()),
        names: Box::new(KnownNames {
            nearest: nearest(key, known.iter().map(String::as_str)),
            home: home(key),
            known,
        }),
    })
}

fn wrong_type(
    source: Source<'_>,
    span: &Range<usize>,
    place: &Place,
    message: &str,
) -> Option<ConfigError> {
    let rest = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "))?;
    let (found, expected) = rest.rsplit_once(", expected ")?;
    let is_date = source
        .text
        .get(span.clone())
        .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()));
    let found = match found {
        "map" if is_date => "a date or time".to_owned(),
        // A password that is typed in place of its file, and is a number.
        found if place.key.ends_with("_file") && found_words(found).starts_with("the number") => {
            "a number".to_owned()
        }
        found => found_words(found),
    };
    let expected = match (expected, found.as_str(), place.key.as_str()) {
        ("a sequence", "a table", key @ ("parameter" | "gateway")) => {
            format!("an array of tables, so [[{key}]] with two brackets")
        }
        (expected, _, _) => expected_words(expected),
    };
    Some(ConfigError::WrongType { at: source.at(span), subject: place.subject(), expected, found })
}

/// A string is not repeated, because it may be a secret.
fn found_words(found: &str) -> String {
    let word = found.split(['`', '"']).next().unwrap_or_default().trim();
    match word {
        "integer" | "floating point" => {
            format!("the number {}", found.split('`').nth(1).unwrap_or("that is too large"))
        }
        "boolean" => format!("the boolean {}", found.split('`').nth(1).unwrap_or_default()),
        "string" => "a string".to_owned(),
        "sequence" => "an array".to_owned(),
        "map" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

fn expected_words(expected: &str) -> String {
    match expected {
        "i64" => "a whole number".to_owned(),
        "u64" => "a whole number from 0 to 18446744073709551615".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// A key and where it stands.
#[derive(Debug, Default)]
struct Place {
    /// `in [push]`; none at the top level.
    table: Option<String>,
    /// Empty if it is not known.
    key: String,
}

impl Place {
    fn subject(&self) -> String {
        match (&self.table, self.key.as_str()) {
            (_, "") => String::new(),
            (None, key) => format!("`{}`: ", printable(key)),
            (Some(table), key) => format!("`{}` {table}: ", printable(key)),
        }
    }
}

/// The key or value at exactly this span. The parser's own limit bounds the depth.
fn find(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>) -> Option<Place> {
    for (key, value) in table {
        let name = key.get_ref().to_string();
        if key.span() == *span || value.span() == *span {
            return Some(Place { table: table_name(path), key: name });
        }
        path.push(name);
        let found = find_in_value(value.get_ref(), span, path);
        path.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}

fn find_in_value(
    value: &DeValue<'_>,
    span: &Range<usize>,
    path: &mut Vec<String>,
) -> Option<Place> {
    match value {
        DeValue::Table(inner) => find(inner, span, path),
        DeValue::Array(items) => {
            let key = path.pop().unwrap_or_default();
            if items.iter().any(|item| item.span() == *span) {
                let place = Place { table: table_name(path), key: key.clone() };
                path.push(key);
                return Some(place);
            }
            path.push(format!("[{key}]"));
            let found = items.iter().find_map(|item| find_in_value(item.get_ref(), span, path));
            path.pop();
            path.push(key);
            found
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => None,
    }
}

/// `in [push.retry]`, `in [[gateway]]`; an array's name stands in brackets in the path.
fn table_name(path: &[String]) -> Option<String> {
    let name = match path {
        [] => return None,
        [only] => only.clone(),
        many => many
            .iter()
            .map(|name| name.trim_start_matches('[').trim_end_matches(']'))
            .collect::<Vec<_>>()
            .join("."),
    };
    Some(format!("in [{}]", printable(&name)))
}

/// The tables that know a key which stands in the wrong one. Asking serde keeps this without a list
/// of its own that could fall behind.
fn home(key: &str) -> Option<String> {
    const TABLES: [&str; 8] = [
        "[batch]",
        "[strategies]",
        "[[parameter]]",
        "[output]",
        "[metrics]",
        "[[gateway]]",
        "[push]",
        "[audit]",
    ];
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_lowercase() || c == '_') {
        return None;
    }
    let knows = |table: &&str| {
        let read = toml::from_str::<Raw>(&format!("{table}\n{key} = 0"));
        read.err().is_none_or(|error| !error.message().starts_with("unknown field"))
    };
    let homes: Vec<&str> = TABLES.into_iter().filter(knows).collect();
    (!homes.is_empty()).then(|| homes.join(" or "))
}

/// The known name that was probably meant: a few slips away, or the typed one with something missing.
pub(super) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let typed = typed.to_lowercase().replace('-', "_");
    let score = |name: &str| {
        let likeness = strsim::normalized_damerau_levenshtein(&typed, &name.replace('-', "_"));
        let contained = name.starts_with(&format!("{typed}_"))
            || typed.len() > 2 && (name.contains(&typed) || typed.contains(name));
        // Jaro and Winkler favour a common beginning: `pasword` for `password_file`.
        let beginning = strsim::jaro_winkler(&typed, name) - 0.25;
        likeness.max(beginning).max(if contained { 0.6 } else { 0.0 })
    };
    known
        .map(|name| (score(name), name))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["interval", "attempt_timeout", "deadline", "retry"];

    #[test]
    fn the_nearest_name_forgives_slips_and_omissions_and_no_more() {
        let of = |typed| nearest(typed, KEYS.into_iter());
        assert_eq!(of("intervall").as_deref(), Some("interval"));
        assert_eq!(of("itnerval").as_deref(), Some("interval"));
        assert_eq!(of("Deadline").as_deref(), Some("deadline"));
        assert_eq!(of("attempt-timeout").as_deref(), Some("attempt_timeout"));
        assert_eq!(of("timeout").as_deref(), Some("attempt_timeout"));
        assert_eq!(
            nearest("pasword", ["user", "password_file"].into_iter()).as_deref(),
            Some("password_file")
        );
        assert_eq!(of("colour"), None);
        assert_eq!(of("rounds"), None);
        assert_eq!(of("dir"), None);
        assert_eq!(of(""), None);
    }
}
