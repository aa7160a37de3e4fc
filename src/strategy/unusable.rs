//! Why a selector leads to nothing that can be mutated.

use crate::units::{Decimal, Number};
use std::fmt;

/// Why a target is never attempted.
#[derive(Clone, Debug, PartialEq)]
pub enum Unusable {
    /// No binding has that name.
    NotFound,
    /// Fewer bindings have that name than the occurrence that was asked for.
    NoSuchOccurrence {
        /// What was asked for, from 1.
        occurrence: usize,
        /// The line of each binding there is, ascending.
        lines: Vec<u32>,
    },
    /// Several bindings have that name.
    Ambiguous {
        /// The line of each, ascending.
        lines: Vec<u32>,
    },
    /// What is bound is no plain number literal.
    NotNumericLiteral {
        /// Its line.
        line: u32,
        /// Its start, for people.
        text: String,
    },
    /// A literal with a point or an exponent for an int parameter.
    TypeMismatch {
        /// Its line.
        line: u32,
        /// The literal.
        text: String,
    },
    /// The literal lies outside of the parameter's bounds.
    StartOutOfBounds {
        /// Its line.
        line: u32,
        /// Its value.
        value: Number,
        /// The lower bound.
        min: Decimal,
        /// The upper bound.
        max: Decimal,
    },
    /// The strategy is no valid Python.
    InvalidSource {
        /// What is wrong, and where.
        message: String,
    },
    /// The strategy cannot be read.
    Unreadable {
        /// What is wrong.
        message: String,
    },
}

impl Unusable {
    /// Every name that [`Unusable::as_str`] gives.
    pub const NAMES: [&'static str; 7] = [
        "not_found",
        "ambiguous",
        "not_numeric_literal",
        "type_mismatch",
        "start_out_of_bounds",
        "invalid_source",
        "unreadable",
    ];

    /// The name in manifest and labels.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NotFound | Self::NoSuchOccurrence { .. } => "not_found",
            Self::Ambiguous { .. } => "ambiguous",
            Self::NotNumericLiteral { .. } => "not_numeric_literal",
            Self::TypeMismatch { .. } => "type_mismatch",
            Self::StartOutOfBounds { .. } => "start_out_of_bounds",
            Self::InvalidSource { .. } => "invalid_source",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// The line that it is about, where there is one; the first of several.
    pub fn line(&self) -> Option<u32> {
        match self {
            Self::NotNumericLiteral { line, .. }
            | Self::TypeMismatch { line, .. }
            | Self::StartOutOfBounds { line, .. } => Some(*line),
            Self::Ambiguous { lines } | Self::NoSuchOccurrence { lines, .. } => {
                lines.first().copied()
            }
            Self::NotFound | Self::InvalidSource { .. } | Self::Unreadable { .. } => None,
        }
    }
}

impl std::error::Error for Unusable {}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => {
                f.write_str("no binding of that name; check the parameter's `target`")
            }
            Self::NoSuchOccurrence { occurrence, lines } => write!(
                f,
                "`occurrence` is {occurrence}, but there {}; set 1 to {}",
                bindings(lines),
                lines.len()
            ),
            Self::Ambiguous { lines } => write!(
                f,
                "there {}; set `occurrence` to 1 to {}, or a narrower `target`",
                bindings(lines),
                lines.len()
            ),
            Self::NotNumericLiteral { line, text } => write!(
                f,
                "line {line}: `{text}` is not a plain number literal; write a number there, or set another `target`"
            ),
            Self::TypeMismatch { line, text } => write!(
                f,
                "line {line}: `{text}` is a float literal for an int parameter; write a whole number there, or set `type = \"float\"`"
            ),
            Self::StartOutOfBounds { line, value, min, max } => write!(
                f,
                "line {line}: {value} is outside of {min} to {max}; correct the value or the bounds"
            ),
            Self::InvalidSource { message } | Self::Unreadable { message } => f.write_str(message),
        }
    }
}

/// Lines that a message lists.
const MOST_LINES: usize = 10;

/// `are 3 bindings, on lines 3, 7 and 9`; of many lines the first ten.
fn bindings(lines: &[u32]) -> String {
    let mut numbers: Vec<String> = lines.iter().map(u32::to_string).collect();
    numbers.dedup();
    if numbers.len() > MOST_LINES + 1 {
        let more = numbers.len() - MOST_LINES;
        numbers.truncate(MOST_LINES);
        numbers.push(format!("{more} more"));
    }
    let last = numbers.pop().unwrap_or_default();
    let (are, plural) = if lines.len() == 1 { ("is", "") } else { ("are", "s") };
    let (lines_word, before) = if numbers.is_empty() {
        ("line", String::new())
    } else {
        ("lines", numbers.join(", ") + " and ")
    };
    format!("{are} {} binding{plural}, on {lines_word} {before}{last}", lines.len())
}
