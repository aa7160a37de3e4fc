//! Decimals that are exact, because "0.12" in a strategy, in the audit log and in a bound must be one value.

use std::fmt;
use std::str::FromStr;

/// `mantissa × 10^-scale`, exactly.
///
/// The mantissa stays within ±2^53 and the scale within 0..=18, so that [`Decimal::to_f64`], one
/// correctly rounded division of two exactly representable numbers, is the very double that
/// Python reads from the decimal's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i64,
    scale: u8,
}

/// Why a number is no [`Decimal`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a plain decimal number.
    #[error("`{0}` is not a plain decimal number")]
    NotANumber(String),
    /// More digits than a double holds exactly, or more than 18 decimals.
    #[error("`{0}` has more digits than a double can hold exactly")]
    TooPrecise(String),
}

const MANTISSA_LIMIT: i64 = 1 << 53;
const SCALE_LIMIT: u8 = 18;
const POWERS: [f64; SCALE_LIMIT as usize + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18,
];

impl Decimal {
    /// The decimal `mantissa × 10^-scale`; `None` outside of ±2^53 and 18 decimals.
    pub const fn new(mantissa: i64, scale: u8) -> Option<Self> {
        if mantissa < -MANTISSA_LIMIT || mantissa > MANTISSA_LIMIT || scale > SCALE_LIMIT {
            return None;
        }
        Some(Self { mantissa, scale })
    }

    /// The decimal that a person means by this double: its shortest text that reads back as itself.
    pub fn from_f64(value: f64) -> Result<Self, DecimalError> {
        // `Display` of a double is its shortest digits without an exponent.
        value.to_string().parse()
    }

    /// The digits without the point.
    pub const fn mantissa(self) -> i64 {
        self.mantissa
    }

    /// The number of decimals, 0..=18.
    pub const fn scale(self) -> u8 {
        self.scale
    }

    /// The nearest double; the same one that Python and Rust parse from the text.
    pub fn to_f64(self) -> f64 {
        self.mantissa as f64 / POWERS[usize::from(self.scale)]
    }

    /// The whole number that it is, if it is one.
    pub fn to_int(self) -> Option<i64> {
        let trimmed = self.trimmed();
        (trimmed.scale == 0).then_some(trimmed.mantissa)
    }

    /// The same value without trailing zeros in its decimals.
    #[must_use]
    pub fn trimmed(self) -> Self {
        let (mut mantissa, mut scale) = (self.mantissa, self.scale);
        while scale > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            scale -= 1;
        }
        Self { mantissa, scale }
    }

    /// The mantissa of the same value at `scale` decimals; `None` if that would lose digits or overflow.
    pub fn mantissa_at(self, scale: u8) -> Option<i128> {
        let mantissa = i128::from(self.mantissa);
        if scale >= self.scale {
            10_i128.checked_pow(u32::from(scale - self.scale))?.checked_mul(mantissa)
        } else {
            let factor = 10_i128.checked_pow(u32::from(self.scale - scale))?;
            (mantissa % factor == 0).then_some(mantissa / factor)
        }
    }
}

impl FromStr for Decimal {
    type Err = DecimalError;

    /// Reads an optional sign, digits and at most one point: `0.001`, `-12`, `.5`. No exponent.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not_a_number = || DecimalError::NotANumber(text.to_owned());
        let too_precise = || DecimalError::TooPrecise(text.to_owned());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = || whole.bytes().chain(decimals.bytes());
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return Err(not_a_number());
        }
        let decimals = decimals.trim_end_matches('0');
        let scale = u8::try_from(decimals.len()).map_err(|_| too_precise())?;
        let mut mantissa = 0_i64;
        for digit in whole.bytes().chain(decimals.bytes()) {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|shifted| shifted.checked_add(i64::from(digit - b'0')))
                .ok_or_else(too_precise)?;
        }
        let signed = if text.starts_with('-') { -mantissa } else { mantissa };
        Self::new(signed, scale).ok_or_else(too_precise)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.mantissa.unsigned_abs(), width = scale + 1);
        let (whole, decimals) = digits.split_at(digits.len() - scale);
        let point = if scale == 0 { "" } else { "." };
        write!(f, "{sign}{whole}{point}{decimals}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_decimal_is_the_double_that_its_text_reads_as(
            mantissa in -MANTISSA_LIMIT..=MANTISSA_LIMIT, scale in 0..=SCALE_LIMIT,
        ) {
            let decimal = Decimal::new(mantissa, scale).unwrap();
            let read: f64 = decimal.to_string().parse().unwrap();
            prop_assert_eq!(decimal.to_f64().to_bits(), read.to_bits());
        }

        #[test]
        fn text_reads_back_as_the_same_value(mantissa in -MANTISSA_LIMIT..=MANTISSA_LIMIT, scale in 0..=SCALE_LIMIT) {
            let decimal = Decimal::new(mantissa, scale).unwrap();
            let read: Decimal = decimal.to_string().parse().unwrap();
            prop_assert_eq!(read, decimal.trimmed());
        }
    }

    #[test]
    fn what_is_no_plain_decimal_is_refused() {
        for text in ["", "-", ".", "1e3", "0x10", "1_000", "nan", "1.2.3", "--1", "+1"] {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::NotANumber(_))), "{text}");
        }
        for text in ["0.12345678901234567891", "99999999999999999999", "9007199254740993"] {
            assert!(matches!(text.parse::<Decimal>(), Err(DecimalError::TooPrecise(_))), "{text}");
        }
        assert!(Decimal::from_f64(f64::NAN).is_err());
        assert!(Decimal::from_f64(1e300).is_err());
    }

    #[test]
    fn a_mantissa_moves_between_scales_only_without_loss() {
        let value: Decimal = "0.12".parse().unwrap();
        assert_eq!(value.mantissa_at(4), Some(1200));
        assert_eq!(value.mantissa_at(1), None);
    }
}
