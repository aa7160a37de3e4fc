//! The name by which a config means one binding in a strategy.

use super::path::Part;
use ruff_python_ast::Expr;
use ruff_python_parser::parse_expression;
use std::fmt;
use std::str::FromStr;

/// Which binding is meant.
///
/// - `stop_loss_pct`: the final name of a binding, wherever it stands.
/// - `MyStrategy.stoploss`: an attribute of that class, set in its body or on `self` in its
///   methods; also an entry of a dict, of `dict(…)` or of pairs bound to such an attribute.
///   `self.stoploss` and `params.stoploss`: an attribute set on that name, or an entry bound to it.
/// - `minimal_roi["60"]`, `minimal_roi[60]`: an entry of what is bound to that name. Names before
///   and keys after are welcome: `MyStrategy.minimal_roi["60"]`, `config["risk"]["stop_loss"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Selector {
    steps: Vec<Step>,
}

/// One step of a selector.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Name(String),
    Key(String),
    Index(i64),
}

/// Text that is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a selector: {expected}; write a name, a name in a class or an entry, as in `stop_loss_pct`, `MyStrategy.stoploss` or `minimal_roi[\"60\"]`"
)]
pub struct SelectorError {
    text: String,
    expected: String,
}

impl Selector {
    /// How many steps it has, at least one.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it names something in something, as `MyStrategy.stoploss` does.
    pub(super) fn is_attribute(&self) -> bool {
        self.steps.len() > 1 && matches!(self.steps.last(), Some(Step::Name(_)))
    }

    /// The word that it ends with, name or key.
    pub(super) fn last_word(&self) -> Option<&str> {
        match self.steps.last()? {
            Step::Name(word) | Step::Key(word) => Some(word),
            Step::Index(_) => None,
        }
    }

    /// Whether any of these paths, from the outside in, ends with its steps.
    pub(super) fn matches_any(&self, paths: &[Vec<Part<'_>>]) -> bool {
        paths.iter().any(|path| self.matches(path))
    }

    fn matches(&self, path: &[Part<'_>]) -> bool {
        let Some(skipped) = path.len().checked_sub(self.steps.len()) else { return false };
        self.steps.iter().zip(&path[skipped..]).all(|(step, part)| step.matches(*part))
    }
}

impl Step {
    fn matches(&self, part: Part<'_>) -> bool {
        match (self, part) {
            (Self::Name(name), Part::Name(other) | Part::Entry(other)) => name == other,
            (Self::Key(key), Part::Entry(other) | Part::Subscript(other)) => key == other,
            (Self::Index(index), Part::Index(other)) => *index == other,
            _ => false,
        }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |expected: String| SelectorError { text: text.to_owned(), expected };
        let (first, mut rest) = name(text).map_err(error)?;
        let mut steps = vec![first];
        while !rest.is_empty() {
            let (step, after) = if let Some(after) = rest.strip_prefix('.') {
                name(after)
            } else if let Some(after) = rest.strip_prefix('[') {
                subscript(after)
            } else {
                Err(format!("expected `.`, `[` or the end before `{rest}`"))
            }
            .map_err(error)?;
            steps.push(step);
            rest = after;
        }
        Ok(Self { steps })
    }
}

/// A Python identifier at the start, and what follows it.
fn name(text: &str) -> Result<(Step, &str), String> {
    let end = text.find(['.', '[']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Err("expected a name".to_owned());
    }
    let name = identifier(name).ok_or_else(|| format!("expected a Python name, not `{name}`"))?;
    Ok((Step::Name(name), rest))
}

/// The identifier as Python compares it (NFKC); `None` for anything else, keywords included.
fn identifier(text: &str) -> Option<String> {
    if text.chars().any(|c| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_') {
        return None;
    }
    let parsed = parse_expression(text).ok()?;
    match parsed.expr() {
        Expr::Name(name) if name.range.len().to_usize() == text.len() => Some(name.id.to_string()),
        _ => None,
    }
}

/// What stands between `[` and `]`, and what follows.
fn subscript(text: &str) -> Result<(Step, &str), String> {
    let unclosed = |what: &str| format!("expected `{what}` after `[{text}`");
    for quote in ['"', '\''] {
        if let Some(quoted) = text.strip_prefix(quote) {
            let (key, rest) =
                quoted.split_once(quote).ok_or_else(|| unclosed(&quote.to_string()))?;
            let rest = rest.strip_prefix(']').ok_or_else(|| unclosed("]"))?;
            return Ok((Step::Key(key.to_owned()), rest));
        }
    }
    let (index, rest) = text.split_once(']').ok_or_else(|| unclosed("]"))?;
    let index = index
        .parse()
        .map_err(|_| format!("expected a quoted key or a whole number in `[…]`, not `{index}`"))?;
    Ok((Step::Index(index), rest))
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Name(name) if at == 0 => f.write_str(name)?,
                Step::Name(name) => write!(f, ".{name}")?,
                Step::Key(key) if key.contains('"') => write!(f, "['{key}']")?,
                Step::Key(key) => write!(f, "[\"{key}\"]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_read_back() {
        for text in [
            "stop_loss_pct",
            "MyStrategy.stoploss",
            "self.stop",
            "A.B.c",
            "minimal_roi[\"60\"]",
            "minimal_roi[60]",
            "x[-1]",
            "MyStrategy.minimal_roi[\"60\"]",
            "config[\"risk\"][\"stop loss\"]",
            "x['\"']",
            "止损",
            "match",
        ] {
            assert_eq!(text.parse::<Selector>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn single_and_double_quotes_are_one() {
        assert_eq!("a['k']".parse::<Selector>(), "a[\"k\"]".parse::<Selector>());
    }

    #[test]
    fn names_are_compared_as_python_compares_them() {
        assert_eq!("ﬁt".parse::<Selector>(), "fit".parse::<Selector>());
    }

    #[test]
    fn errors_say_what_was_expected() {
        for (text, expected) in [
            ("", "expected a name"),
            (".x", "expected a name"),
            ("a.", "expected a name"),
            ("a..b", "expected a name"),
            ("stop loss", "expected a Python name, not `stop loss`"),
            ("class", "expected a Python name, not `class`"),
            ("1x", "expected a Python name, not `1x`"),
            (" x", "expected a Python name, not ` x`"),
            ("-----", "expected a Python name, not `-----`"),
            ("a[60", "expected `]` after `[60`"),
            ("a[\"60]", "expected `\"` after `[\"60]`"),
            ("a['60'", "expected `]` after `['60'`"),
            ("a[b]", "expected a quoted key or a whole number in `[…]`, not `b`"),
            ("a[]", "expected a quoted key or a whole number in `[…]`, not ``"),
            ("a[1]b", "expected `.`, `[` or the end before `b`"),
        ] {
            let error = text.parse::<Selector>().unwrap_err().to_string();
            let start = format!("`{text}` is not a selector: {expected}; write");
            assert!(error.starts_with(&start), "{error}");
        }
    }
}
