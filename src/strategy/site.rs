//! One number literal in a strategy, and what it would be with another value.

use super::Unusable;
use super::literal::Literal;
use super::position::Position;
use crate::units::{Decimal, Kind, Number};
use ruff_python_ast::{Expr, ExprNumberLiteral, Number as Parsed, UnaryOp};
use ruff_text_size::Ranged;
use std::ops::Range;

/// A number literal, with the one sign before it if there is one.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    range: Range<usize>,
    position: Position,
    text: Box<str>,
    value: Number,
    literal: Literal,
}

impl Site {
    /// The site that an expression is, if it is a plain number literal, signed at most once.
    pub(super) fn new(source: &str, expr: &Expr) -> Option<Self> {
        let (negative, number) = signed_number(expr)?;
        let range = expr.start().to_usize().min(number.start().to_usize())..number.end().to_usize();
        let (before, digits) =
            source.get(range.clone())?.split_at(number.start().to_usize() - range.start);
        let value = match &number.value {
            Parsed::Float(value) => Number::Float(if negative { -value } else { *value }),
            Parsed::Int(value) => int(value, negative),
            Parsed::Complex { .. } => return None,
        };
        Some(Self {
            literal: Literal::new(before, digits)?,
            position: Position::of(source, range.start),
            text: source.get(range.clone())?.into(),
            range,
            value,
        })
    }

    /// The line, from 1.
    pub const fn line(&self) -> u32 {
        self.position.line
    }

    /// The column of its first character, sign or digit, from 1.
    pub const fn column(&self) -> u32 {
        self.position.column
    }

    /// The value in the source, with its sign. A whole number beyond 64 bits is given as a double.
    pub const fn value(&self) -> Number {
        self.value
    }

    /// What stands in the source, from the sign to the last digit.
    pub const fn text(&self) -> &str {
        &self.text
    }

    /// Its bytes in the source, which what is rendered takes the place of.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Clears `out` and writes what stands at [`Site::range`] with another value: the same sign
    /// and gap, the same style, and no byte more than the value needs.
    ///
    /// Returns at which byte of `out` the number starts, digit or point, after the sign and
    /// whatever stands between: blanks, parentheses, comments, line ends. It is negative if and
    /// only if `out` starts with `-`.
    pub fn render(&self, value: Decimal, out: &mut String) -> usize {
        out.clear();
        self.literal.render(value, out)
    }

    /// What Python reads from the rendered text: the double nearest to `value`, or the int
    /// where both the source's literal and `value` are whole.
    pub fn read_back(&self, value: Decimal) -> Number {
        let whole = value.trimmed();
        if self.literal.is_int() && whole.scale() == 0 {
            Number::Int(whole.mantissa())
        } else {
            Number::Float(value.to_f64())
        }
    }
}

/// Whether a literal can be the start of a parameter: its type fits, and it lies within the bounds.
pub fn check(site: &Site, kind: Kind, min: Decimal, max: Decimal) -> Result<(), Unusable> {
    let line = site.line();
    if kind == Kind::Int && !site.literal.is_int() {
        return Err(Unusable::TypeMismatch { line, text: excerpt(&site.text) });
    }
    let value = site.value.to_f64();
    if value < min.to_f64() || max.to_f64() < value {
        return Err(Unusable::StartOutOfBounds { line, value: site.value, min, max });
    }
    Ok(())
}

/// The first line of a text, cut where it is too long for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default().trim_end();
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Where the digits of a number end, if the expression is one.
pub(super) fn literal_end(expr: &Expr) -> Option<usize> {
    signed_number(expr).map(|(_, number)| number.end().to_usize())
}

fn signed_number(expr: &Expr) -> Option<(bool, &ExprNumberLiteral)> {
    match expr {
        Expr::NumberLiteral(number) => Some((false, number)),
        Expr::UnaryOp(unary) => match (unary.op, &*unary.operand) {
            (UnaryOp::USub, Expr::NumberLiteral(number)) => Some((true, number)),
            (UnaryOp::UAdd, Expr::NumberLiteral(number)) => Some((false, number)),
            _ => None,
        },
        _ => None,
    }
}

fn int(value: &ruff_python_ast::Int, negative: bool) -> Number {
    let signed =
        value.as_u64().map(|value| if negative { -i128::from(value) } else { value.into() });
    if let Some(value) = signed.and_then(|value| i64::try_from(value).ok()) {
        return Number::Int(value);
    }
    // Python's own digits; infinite where doubles end, and out of any bounds.
    let size = value.to_string().replace('_', "").parse().unwrap_or(f64::INFINITY);
    Number::Float(if negative { -size } else { size })
}
