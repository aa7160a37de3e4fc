//! How a binding can be reached, as names and keys from the outside in.

use ruff_python_ast::{Expr, Number, UnaryOp};

/// One step on the way to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// A class, variable, attribute, parameter or keyword argument.
    Name(&'a str),
    /// An entry of a dict, of `dict(…)` or of pairs, by its string key.
    Entry(&'a str),
    /// What is assigned to by a string key, as in `x["key"] = 0.1`. A bare name does not mean it:
    /// `df["stop_loss"] = 0.0` is a column.
    Subscript(&'a str),
    /// An entry by a whole number.
    Index(i64),
}

impl<'a> Part<'a> {
    /// The entry that a key of a dict or the first of a pair names.
    pub(super) fn entry(key: &'a Expr) -> Option<Self> {
        match key {
            Expr::StringLiteral(string) => Some(Self::Entry(string.value.to_str())),
            _ => index(key).map(Self::Index),
        }
    }

    /// What a subscript in a target names.
    pub(super) fn subscript(key: &'a Expr) -> Option<Self> {
        match Self::entry(key)? {
            Self::Entry(key) => Some(Self::Subscript(key)),
            other => Some(other),
        }
    }
}

fn index(key: &Expr) -> Option<i64> {
    match key {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(value) => value.as_i64(),
            Number::Float(_) | Number::Complex { .. } => None,
        },
        Expr::UnaryOp(unary) if unary.op == UnaryOp::USub => {
            index_without_sign(&unary.operand)?.checked_neg()
        }
        _ => None,
    }
}

fn index_without_sign(key: &Expr) -> Option<i64> {
    if key.is_number_literal_expr() { index(key) } else { None }
}

/// The ways to one binding: several where `self` stands for the class, or an entry for an
/// attribute of the class that holds it.
pub(super) type Paths<'a> = Vec<Vec<Part<'a>>>;

/// The classes around a place, from the outside in.
pub(super) type Classes<'a> = std::rc::Rc<Vec<&'a str>>;

/// The ways to an assignment's target; none for what no selector can name.
pub(super) fn of_target<'a>(target: &'a Expr, classes: &[&'a str], in_body: bool) -> Paths<'a> {
    let mut parts = Vec::new();
    let mut base = target;
    loop {
        match base {
            Expr::Attribute(attribute) => {
                parts.push(Part::Name(attribute.attr.as_str()));
                base = &attribute.value;
            }
            Expr::Subscript(subscript) => {
                let Some(part) = Part::subscript(&subscript.slice) else { break };
                parts.push(part);
                base = &subscript.value;
            }
            Expr::Name(name) => {
                parts.push(Part::Name(name.id.as_str()));
                break;
            }
            // `f(x).stop_loss = 0.1`: what comes before has no name.
            _ => break,
        }
    }
    parts.reverse();
    let is_self = matches!(parts.first(), Some(Part::Name("self" | "cls")));
    let is_attribute = in_body && target.is_name_expr();
    let inherited = |skipped: usize| {
        let classes = classes.iter().copied().map(Part::Name);
        classes.chain(parts.iter().skip(skipped).copied()).collect::<Vec<_>>()
    };
    match parts.len() {
        0 => Vec::new(),
        1 if is_attribute => vec![inherited(0)],
        2.. if is_self && !classes.is_empty() => {
            vec![inherited(1), parts]
        }
        _ => vec![parts],
    }
}

/// The way to an entry that leaves out the attribute which holds it.
pub(super) fn without_container<'a>(path: &[Part<'a>]) -> Vec<Part<'a>> {
    let (last, before) = path.split_last().map_or((None, path), |(last, rest)| (Some(*last), rest));
    let holder = before.len().saturating_sub(1);
    before[..holder].iter().copied().chain(last).collect()
}
