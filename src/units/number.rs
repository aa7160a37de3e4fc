//! A parameter's value as programs read it: an integer stays one.

use super::Decimal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a parameter's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Decimal fractions.
    Float,
    /// Whole numbers.
    Int,
}

/// A value in a strategy or a record. In JSON an integer has no point and a float always has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A double.
    Float(f64),
}

impl Number {
    /// A decimal as a value of this kind. One with decimals, which an int parameter does not have, stays a double.
    pub fn of(value: Decimal, kind: Kind) -> Self {
        let whole = if kind == Kind::Int { value.to_int() } else { None };
        whole.map_or_else(|| Self::Float(value.to_f64()), Self::Int)
    }

    /// Reads null, which is how JSON writes what is not a number, as that.
    pub fn or_nan<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::deserialize(deserializer)?;
        Ok(number.unwrap_or(Self::Float(f64::NAN)))
    }

    /// The value as a double.
    pub const fn to_f64(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(value) => value.fmt(f),
            // `Debug` keeps `.0`, so that a float is seen to be one.
            Self::Float(value) => fmt::Debug::fmt(value, f),
        }
    }
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
        }
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number::Int(value))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Number, E> {
                i64::try_from(value)
                    .map(Number::Int)
                    .map_err(|_| E::custom("an integer beyond 64 bits with sign"))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number::Float(value))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}
