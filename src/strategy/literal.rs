//! The style of a number literal, and other numbers written in it.

use crate::units::Decimal;
use std::ops::Range;

/// How a number was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    sign: Sign,
    /// What stands between sign and digits.
    gap: Box<str>,
    /// What of the gap stays when a minus goes: none of it if it is blank.
    gap_without_sign: Range<usize>,
    has_leading_zero: bool,
    has_point: bool,
    decimals: usize,
    groups: Groups,
    exponent: Option<Exponent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    None,
    Plus,
    Minus,
}

/// Which digits stand in threes from the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Groups {
    whole: bool,
    decimals: bool,
}

/// `e-1`, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Exponent {
    text: Box<str>,
    power: i32,
}

/// More decimals than this are not padded, and with greater exponents plain digits are clearer:
/// no decimal that is rendered has more than 18 decimals or 16 digits.
const MOST_DECIMALS: usize = 64;
const MOST_POWER: i32 = 30;
const ZEROS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const BLANKS: [char; 3] = [' ', '\t', '\x0c'];

impl Literal {
    /// Reads the style of a literal that Python accepts, with the sign before it and what stands
    /// between the two. `None` for hexadecimal, octal, binary and imaginary literals.
    pub(super) fn new(before: &str, digits: &str) -> Option<Self> {
        let (sign, gap) = match before.as_bytes().first() {
            None => (Sign::None, ""),
            Some(b'-') => (Sign::Minus, &before[1..]),
            Some(b'+') => (Sign::Plus, &before[1..]),
            Some(_) => return None,
        };
        let is_decimal = |c: char| c.is_ascii_digit() || "._eE+-".contains(c);
        if !digits.chars().all(is_decimal) {
            return None;
        }
        let (mantissa, exponent) = match digits.find(['e', 'E']) {
            Some(at) => (&digits[..at], Some(&digits[at..])),
            None => (digits, None),
        };
        let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let blank = gap.len() - gap.trim_start_matches(BLANKS).len();
        let regular = is_grouped_from_the_right(whole).zip(is_grouped_from_the_left(decimals));
        let groups = regular.map(|(whole, decimals)| Groups { whole, decimals });
        let mut literal = Self {
            sign,
            gap: gap.into(),
            gap_without_sign: blank..gap.len(),
            has_leading_zero: !whole.is_empty(),
            has_point: mantissa.contains('.'),
            decimals: decimals.bytes().filter(u8::is_ascii_digit).count().min(MOST_DECIMALS),
            groups: groups.unwrap_or_default(),
            exponent: None,
        };
        if let Some(text) = exponent {
            let power = text[1..].replace('_', "").parse().unwrap_or(i32::MAX);
            if (-MOST_POWER..=MOST_POWER).contains(&power) {
                literal.exponent = Some(Exponent { text: text.into(), power });
            } else {
                // Only a point can now say that it is a float.
                literal.has_point = true;
                literal.decimals = literal.decimals.max(1);
            }
        }
        Some(literal)
    }

    /// It has neither point nor exponent.
    pub(super) const fn is_int(&self) -> bool {
        !self.has_point && self.exponent.is_none()
    }

    /// Appends `value` in this style, from the sign on; returns where in `out` its digits start.
    pub(super) fn render(&self, value: Decimal, out: &mut String) -> usize {
        self.render_sign(value.mantissa() < 0, out);
        let number = out.len();
        let (mantissa, scale, zeros) = self.shifted(value);
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(mantissa);
        let (whole, decimals) = digits.split_at(digits.len().saturating_sub(scale));
        let missing = scale - decimals.len();
        let length = scale.max(self.decimals);
        if !whole.is_empty() && (mantissa != 0 || self.has_leading_zero || length == 0) {
            self.render_whole(whole, zeros, out);
        } else if self.has_leading_zero {
            out.push('0');
        }
        if length > 0 || self.has_point {
            out.push('.');
        }
        let start = out.len();
        out.push_str(&ZEROS[..missing]);
        out.push_str(decimals);
        out.push_str(&ZEROS[..length - scale]);
        if self.groups.decimals {
            group(out, (start + 3..).step_by(4));
        }
        if let Some(exponent) = &self.exponent {
            out.push_str(&exponent.text);
        }
        number
    }

    /// The digits before the exponent, how many of them are decimals, and the zeros after them.
    fn shifted(&self, value: Decimal) -> (u64, usize, usize) {
        let mut mantissa = value.mantissa().unsigned_abs();
        if mantissa == 0 {
            return (0, 0, 0);
        }
        let power = self.exponent.as_ref().map_or(0, |exponent| exponent.power);
        let mut scale = i32::from(value.scale()) + power;
        while scale > 0 && mantissa.is_multiple_of(10) {
            mantissa /= 10;
            scale -= 1;
        }
        let count = usize::try_from(scale.unsigned_abs()).unwrap_or(0);
        if scale >= 0 { (mantissa, count, 0) } else { (mantissa, 0, count) }
    }

    fn render_sign(&self, is_negative: bool, out: &mut String) {
        match (self.sign, is_negative) {
            (Sign::None, false) => {}
            (Sign::None, true) => out.push('-'),
            (Sign::Minus, false) => out.push_str(&self.gap[self.gap_without_sign.clone()]),
            (Sign::Plus, false) => {
                out.push('+');
                out.push_str(&self.gap);
            }
            (Sign::Plus | Sign::Minus, true) => {
                out.push('-');
                out.push_str(&self.gap);
            }
        }
    }

    fn render_whole(&self, digits: &str, zeros: usize, out: &mut String) {
        let start = out.len();
        out.push_str(digits);
        out.push_str(&ZEROS[..zeros]);
        if self.groups.whole {
            let count = out.len() - start;
            let first = start + 1 + (count - 1) % 3;
            group(out, (first..).step_by(4));
        }
    }
}

/// Puts an underscore at each of the places that has a digit after it.
fn group(out: &mut String, places: impl Iterator<Item = usize>) {
    for at in places {
        if at >= out.len() {
            return;
        }
        out.insert(at, '_');
    }
}

/// Whether underscores part the digits in threes before the point; `None` if irregularly.
fn is_grouped_from_the_right(digits: &str) -> Option<bool> {
    let mut groups = digits.split('_');
    let first = groups.next()?;
    let mut rest = groups.peekable();
    let is_grouped = rest.peek().is_some();
    (!is_grouped || (first.len() <= 3 && rest.all(|group| group.len() == 3))).then_some(is_grouped)
}

/// Whether underscores part the digits in threes after the point; `None` if irregularly.
fn is_grouped_from_the_left(digits: &str) -> Option<bool> {
    let mut groups = digits.rsplit('_');
    let last = groups.next()?;
    let mut rest = groups.peekable();
    let is_grouped = rest.peek().is_some();
    (!is_grouped || (last.len() <= 3 && rest.all(|group| group.len() == 3))).then_some(is_grouped)
}
