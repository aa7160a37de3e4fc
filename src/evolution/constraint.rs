//! Rules between parameters: `stop_loss_pct < take_profit_pct`, `2 * a + 0.01 <= b - 3`.

use crate::units::{Decimal, Number};
use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::str::FromStr;

/// A linear comparison between parameters and numbers, with `<`, `<=`, `>` or `>=`.
///
/// A term is a number, a parameter, or their product with `*`. A parameter whose name has other
/// characters than letters, digits, `_`, `.` and pairs of brackets stands in backquotes.
///
/// Both sides are computed in exact decimals: the values mean what they are written as, so that
/// 0.1 + 0.2 is 0.3. Only values with more digits than a [`Decimal`] holds, or sums that are too
/// large for 128 bits, are compared as doubles.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    left: Vec<Term>,
    comparison: Comparison,
    right: Vec<Term>,
}

/// Text that is no constraint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{rule}`, character {at}: {problem}")]
pub struct ConstraintError {
    /// The whole text.
    pub rule: String,
    /// Where it goes wrong, from 1.
    pub at: usize,
    /// What is expected there.
    pub problem: String,
}

/// `factor`, times a parameter's value if there is a `name`.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    factor: Decimal,
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Constraint {
    /// The parameters that it speaks of; one may come twice.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.left.iter().chain(&self.right).filter_map(|term| term.name.as_deref())
    }

    /// Whether it holds for the values that `lookup` knows by name; `None` if it does not know
    /// one of them: what the strategy does not have cannot be compared.
    pub fn holds(&self, lookup: impl Fn(&str) -> Option<Number>) -> Option<bool> {
        let left = amounts(&self.left, &lookup)?;
        let right = amounts(&self.right, &lookup)?;
        Some(self.comparison.allows(compare(&left, &right)))
    }
}

impl Comparison {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A term's factor and, if it has a name, its value.
type Amount = (Decimal, Option<Number>);

fn amounts(terms: &[Term], lookup: impl Fn(&str) -> Option<Number>) -> Option<Vec<Amount>> {
    let amount = |term: &Term| match &term.name {
        Some(name) => lookup(name).map(|value| (term.factor, Some(value))),
        None => Some((term.factor, None)),
    };
    terms.iter().map(amount).collect()
}

fn compare(left: &[Amount], right: &[Amount]) -> Ordering {
    if let Some(order) = exactly(left, right) {
        return order;
    }
    let sum = |amounts: &[Amount]| -> f64 {
        let values = amounts
            .iter()
            .map(|(factor, value)| factor.to_f64() * value.map_or(1.0, Number::to_f64));
        values.sum()
    };
    sum(left).total_cmp(&sum(right))
}

fn exactly(left: &[Amount], right: &[Amount]) -> Option<Ordering> {
    let products = |amounts: &[Amount]| -> Option<Vec<(i128, u32)>> {
        amounts.iter().map(|amount| product(*amount)).collect()
    };
    let (left, right) = (products(left)?, products(right)?);
    let scale = left.iter().chain(&right).map(|(_, scale)| *scale).max()?;
    let sum = |products: &[(i128, u32)]| {
        products.iter().try_fold(0_i128, |sum, (mantissa, own)| {
            sum.checked_add(mantissa.checked_mul(10_i128.checked_pow(scale - own)?)?)
        })
    };
    Some(sum(&left)?.cmp(&sum(&right)?))
}

/// Mantissa and scale of `factor × value`; below 2^107.
fn product((factor, value): Amount) -> Option<(i128, u32)> {
    let factor = factor.trimmed();
    let value = match value {
        None => return Some((factor.mantissa().into(), factor.scale().into())),
        Some(Number::Int(value)) => Decimal::new(value, 0)?,
        Some(Number::Float(value)) => Decimal::from_f64(value).ok()?,
    };
    let mantissa = i128::from(factor.mantissa()) * i128::from(value.mantissa());
    Some((mantissa, u32::from(factor.scale()) + u32::from(value.scale())))
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_sum(&self.left, f)?;
        write!(f, " {} ", self.comparison.as_str())?;
        write_sum(&self.right, f)
    }
}

fn write_sum(terms: &[Term], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, Term { factor, name }) in terms.iter().enumerate() {
        let text = factor.to_string();
        let (sign, size) = text.strip_prefix('-').map_or(("+", &*text), |size| ("-", size));
        match (at, sign) {
            (0, "-") => f.write_char('-')?,
            (0, _) => {}
            _ => write!(f, " {sign} ")?,
        }
        match name {
            None => f.write_str(size)?,
            Some(name) => {
                if size != "1" {
                    write!(f, "{size} * ")?;
                }
                let bare = bare_length(name) == name.len() && !name.is_empty();
                let quote = if bare { "" } else { "`" };
                write!(f, "{quote}{name}{quote}")?;
            }
        }
    }
    Ok(())
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(rule: &str) -> Result<Self, Self::Err> {
        let mut parser = Parser { rule, at: 0 };
        let left = parser.sum()?;
        let comparison = parser.comparison()?;
        let right = parser.sum()?;
        parser.end()?;
        let constraint = Self { left, comparison, right };
        if constraint.names().next().is_none() {
            return Err(parser.wrong_at(0, "names no parameter, so it never changes"));
        }
        Ok(constraint)
    }
}

/// Reads a rule from the left to the right.
struct Parser<'a> {
    rule: &'a str,
    /// In bytes.
    at: usize,
}

impl<'a> Parser<'a> {
    fn sum(&mut self) -> Result<Vec<Term>, ConstraintError> {
        let mut negative = self.takes("-");
        let mut terms = Vec::new();
        loop {
            terms.push(self.term(negative)?);
            if self.takes("+") {
                negative = false;
            } else if self.takes("-") {
                negative = true;
            } else {
                return Ok(terms);
            }
        }
    }

    fn term(&mut self, negative: bool) -> Result<Term, ConstraintError> {
        let expected = "expected a parameter or a number";
        let (mut factor, mut name) = (self.number()?, None);
        if factor.is_none() {
            name = Some(self.name()?.ok_or_else(|| self.wrong(expected))?);
        }
        if self.takes("*") {
            self.skip_blanks();
            let start = self.at;
            match (self.number()?, &name) {
                (Some(number), Some(_)) => factor = Some(number),
                (Some(_), None) => {
                    return Err(self.wrong_at(start, "expected a parameter, not a second number"));
                }
                (None, Some(_)) if self.name()?.is_some() => {
                    return Err(self.wrong_at(
                        start,
                        "expected a number: a product of two parameters is not linear",
                    ));
                }
                (None, Some(_)) => return Err(self.wrong("expected a number")),
                (None, None) => {
                    name = Some(self.name()?.ok_or_else(|| self.wrong("expected a parameter"))?);
                }
            }
        }
        if self.takes("*") {
            return Err(self.wrong("expected the end of the term: one number and one parameter"));
        }
        let factor = factor.unwrap_or(ONE);
        Ok(Term { factor: if negative { negated(factor) } else { factor }, name })
    }

    fn number(&mut self) -> Result<Option<Decimal>, ConstraintError> {
        let rest = self.rest();
        if !rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Ok(None);
        }
        // Letters are taken too, so that `1e-3` and `2a` are errors of their own and no riddles.
        let belongs = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let number = rest[..length].parse().map_err(|error| {
            let hint = "write 0.001 for 1e-3, and 2 * a for 2a";
            self.wrong(&format!("{error}; {hint}"))
        })?;
        self.at += length;
        Ok(Some(number))
    }

    fn name(&mut self) -> Result<Option<String>, ConstraintError> {
        let rest = self.rest();
        if let Some(quoted) = rest.strip_prefix('`') {
            let end = quoted.find('`').ok_or_else(|| self.wrong("this backquote is not closed"))?;
            if end == 0 {
                return Err(self.wrong("expected a name between the backquotes"));
            }
            self.at += end + 2;
            return Ok(Some(quoted[..end].to_owned()));
        }
        let length = bare_length(rest);
        self.at += length;
        Ok((length > 0).then(|| rest[..length].to_owned()))
    }

    fn comparison(&mut self) -> Result<Comparison, ConstraintError> {
        // The longer ones first.
        let all = [
            Comparison::LessOrEqual,
            Comparison::GreaterOrEqual,
            Comparison::Less,
            Comparison::Greater,
        ];
        let found = all.into_iter().find(|one| self.takes(one.as_str()));
        found.ok_or_else(|| self.wrong("expected one of < <= > >=, or + - *"))
    }

    fn end(&mut self) -> Result<(), ConstraintError> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.wrong("expected the end, or + - *")) }
    }

    fn takes(&mut self, text: &str) -> bool {
        let taken = self.rest().starts_with(text);
        if taken {
            self.at += text.len();
        }
        taken
    }

    fn rest(&mut self) -> &'a str {
        self.skip_blanks();
        &self.rule[self.at..]
    }

    fn skip_blanks(&mut self) {
        let rest = &self.rule[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, problem: &str) -> ConstraintError {
        self.wrong_at(self.at, problem)
    }

    fn wrong_at(&self, at: usize, problem: &str) -> ConstraintError {
        ConstraintError {
            rule: self.rule.to_owned(),
            at: self.rule[..at].chars().count() + 1,
            problem: problem.to_owned(),
        }
    }
}

const ONE: Decimal = match Decimal::new(1, 0) {
    Some(one) => one,
    None => unreachable!(),
};

fn negated(decimal: Decimal) -> Decimal {
    // The limits of a mantissa are the same on both sides.
    Decimal::new(-decimal.mantissa(), decimal.scale()).unwrap_or(decimal)
}

/// How much of the text is a name without backquotes: `stop_loss_pct`, `Strategy.stop`, `roi["60"]`.
fn bare_length(text: &str) -> usize {
    let mut end = 0;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let starts = at == 0 && (c.is_alphabetic() || c == '_');
        let goes_on = at > 0 && (c.is_alphanumeric() || matches!(c, '_' | '.'));
        if starts || goes_on {
            end = at + c.len_utf8();
        } else if at > 0 && c == '[' {
            let Some((close, _)) = chars.by_ref().find(|(_, c)| *c == ']') else { break };
            end = close + 1;
        } else {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(rule: &str, values: &[(&str, f64)]) -> Option<bool> {
        let find = |name: &str| values.iter().find(|(known, _)| *known == name);
        let lookup = |name: &str| find(name).map(|(_, value)| Number::Float(*value));
        rule.parse::<Constraint>().unwrap().holds(lookup)
    }

    #[test]
    fn decimals_are_compared_as_they_are_written() {
        let values = [("a", 0.1), ("b", 0.2), ("c", 0.3)];
        // As doubles, 0.1 + 0.2 is above 0.3.
        assert_eq!(holds("a + b <= c", &values), Some(true));
        assert_eq!(holds("a + b >= c", &values), Some(true));
        assert_eq!(holds("a + b < c", &values), Some(false));
        assert_eq!(holds("3 * a <= c", &values), Some(true));
        assert_eq!(holds("-a - 0.2 > -c - 0.000000000000000001", &values), Some(true));
        assert_eq!(holds("c * 0.5 > a + 0.05", &values), Some(false));
    }

    #[test]
    fn what_is_beyond_decimals_is_compared_as_doubles() {
        assert_eq!(holds("a < 9007199254740992 * b", &[("a", 1e300), ("b", 1e300)]), Some(true));
        let large = [("a", 9_007_199_254_740_991.0), ("b", 0.123_456_789_012_345_6)];
        assert_eq!(holds("9007199254740991 * a > 0.000000000000000001 * b", &large), Some(true));
    }

    #[test]
    fn a_rule_on_a_parameter_that_is_not_there_does_not_apply() {
        assert_eq!(holds("a < b", &[("a", 1.0)]), None);
        assert_eq!(holds("a < 2", &[("a", 1.0)]), Some(true));
    }

    #[test]
    fn rules_are_shown_in_a_form_that_reads_back() {
        for (typed, shown) in [
            ("stop_loss_pct<take_profit_pct", "stop_loss_pct < take_profit_pct"),
            (" 2*a+0.010 <= b-3 ", "2 * a + 0.01 <= b - 3"),
            ("-a * 2 - .5 > - 1*b", "-2 * a - 0.5 > -b"),
            ("Strategy.stop >= roi[\"60\"]", "Strategy.stop >= roi[\"60\"]"),
            ("`two words` < `plain`", "`two words` < plain"),
            ("0 * a < 1", "0 * a < 1"),
        ] {
            let rule: Constraint = typed.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse::<Constraint>().unwrap(), rule);
        }
        let rule: Constraint = "2 * a < b + `c d`".parse().unwrap();
        assert_eq!(rule.names().collect::<Vec<_>>(), ["a", "b", "c d"]);
    }

    #[test]
    fn a_wrong_rule_says_where_and_why() {
        let refusal = |rule: &str| rule.parse::<Constraint>().unwrap_err().to_string();
        insta::assert_snapshot!(refusal(""), @"``, character 1: expected a parameter or a number");
        insta::assert_snapshot!(refusal("a <"), @"`a <`, character 4: expected a parameter or a number");
        insta::assert_snapshot!(refusal("a = b"), @"`a = b`, character 3: expected one of < <= > >=, or + - *");
        insta::assert_snapshot!(refusal("a < b < c"), @"`a < b < c`, character 7: expected the end, or + - *");
        insta::assert_snapshot!(refusal("a * b < 1"), @"`a * b < 1`, character 5: expected a number: a product of two parameters is not linear");
        insta::assert_snapshot!(refusal("2 * 3 < a"), @"`2 * 3 < a`, character 5: expected a parameter, not a second number");
        insta::assert_snapshot!(refusal("2 * a * 3 < a"), @"`2 * a * 3 < a`, character 8: expected the end of the term: one number and one parameter");
        insta::assert_snapshot!(refusal("ä < 1e-3"), @"`ä < 1e-3`, character 5: `1e` is not a plain decimal number; write 0.001 for 1e-3, and 2 * a for 2a");
        insta::assert_snapshot!(refusal("1 < 2"), @"`1 < 2`, character 1: names no parameter, so it never changes");
        insta::assert_snapshot!(refusal("`a < 2"), @"``a < 2`, character 1: this backquote is not closed");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "[a-c`ä\\[\\] 0-9.*+<>=-]{0,16}") {
            if let Ok(rule) = text.parse::<Constraint>() {
                prop_assert_eq!(rule.to_string().parse::<Constraint>(), Ok(rule));
            }
        }

        #[test]
        fn whole_numbers_are_compared_as_whole_numbers(
            [a, b, m, n, k] in prop::array::uniform5(-1_000_000_i64..1_000_000),
        ) {
            let rule = format!("{m}*a + {k} <= {n} * b").replace("+ -", "- ").parse::<Constraint>();
            let lookup = |name: &str| Some(Number::Int(if name == "a" { a } else { b }));
            prop_assert_eq!(rule.unwrap().holds(lookup), Some(m * a + k <= n * b));
        }
    }
}
