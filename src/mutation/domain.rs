//! The grid of values that a parameter may take.

use super::grid::{Grid, Misfit, common};
use crate::units::{Decimal, Kind};

/// The values that a parameter may take: the multiples of `step` from `min` to `max`.
///
/// The grid is `index × step` for whole indices, computed in exact decimals. The bounds need not
/// be on it: 0.0104 and a step of 0.001 make the smallest value 0.011.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    kind: Kind,
    min: Decimal,
    max: Decimal,
    step: Decimal,
    /// Bounds as doubles, for they are compared with doubles that Python read.
    low: f64,
    high: f64,
    grid: Grid,
}

/// Why bounds and step make no domain.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DomainError {
    /// There is nothing between the bounds.
    #[error("min {min} must be below max {max}")]
    MinNotBelowMax {
        /// As configured.
        min: Decimal,
        /// As configured.
        max: Decimal,
    },
    /// Zero or negative.
    #[error("step {step} must be above 0")]
    StepNotPositive {
        /// As configured.
        step: Decimal,
    },
    /// A whole number cannot have fractional bounds or steps.
    #[error("{key} {value} must be a whole number for an int parameter")]
    NotWhole {
        /// `min`, `max` or `step`.
        key: &'static str,
        /// As configured.
        value: Decimal,
    },
    /// A mutation needs another value to go to.
    #[error(
        "step {step} has {values} of its multiples within {min} to {max}, and a mutation needs two; {}",
        advice(*.better)
    )]
    TooCoarse {
        /// As configured.
        min: Decimal,
        /// As configured.
        max: Decimal,
        /// As configured.
        step: Decimal,
        /// 0 or 1.
        values: u8,
        /// A step with which these bounds work.
        better: Option<Decimal>,
    },
    /// The values would not be exact as doubles.
    #[error(
        "the multiples of step {step} within {min} to {max} have more digits than a double holds; take a coarser step"
    )]
    TooFine {
        /// As configured.
        min: Decimal,
        /// As configured.
        max: Decimal,
        /// As configured.
        step: Decimal,
    },
}

fn advice(better: Option<Decimal>) -> String {
    match better {
        Some(step) => format!("a step of {step} would do"),
        None => "widen the bounds".to_owned(),
    }
}

impl Domain {
    /// The grid of multiples of `step` within `min..=max`.
    ///
    /// Errors where the bounds leave fewer than two values, where an int parameter has fractional
    /// bounds or steps, and where a value at the step's decimals would have a mantissa beyond ±2^53.
    pub fn new(kind: Kind, min: Decimal, max: Decimal, step: Decimal) -> Result<Self, DomainError> {
        if kind == Kind::Int {
            for (key, value) in [("min", min), ("max", max), ("step", step)] {
                if value.trimmed().scale() != 0 {
                    return Err(DomainError::NotWhole { key, value });
                }
            }
        }
        if step.mantissa() <= 0 {
            return Err(DomainError::StepNotPositive { step });
        }
        if common(min) >= common(max) {
            return Err(DomainError::MinNotBelowMax { min, max });
        }
        let grid = match Grid::new(min, max, step) {
            Ok(grid) => grid,
            Err(Misfit::Beyond) => return Err(DomainError::TooFine { min, max, step }),
            Err(Misfit::Values(values)) => {
                let better = coarsest_useful_step(kind, min, max);
                return Err(DomainError::TooCoarse { min, max, step, values, better });
            }
        };
        let (low, high) = (min.to_f64(), max.to_f64());
        Ok(Self { kind, min, max, step, low, high, grid })
    }

    /// What its values are.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The bounds as configured, minimum first.
    pub const fn bounds(&self) -> (Decimal, Decimal) {
        (self.min, self.max)
    }

    /// The step as configured.
    pub const fn step(&self) -> Decimal {
        self.step
    }

    /// Whether `value` is within the bounds, on the grid or not.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The indices of the least and the greatest value.
    pub const fn indices(&self) -> (i64, i64) {
        (self.grid.first, self.grid.last)
    }

    /// How many values there are, at least 2.
    pub const fn count(&self) -> u64 {
        self.grid.last.abs_diff(self.grid.first) + 1
    }

    /// The value `index × step` at the step's decimals; indices outside are taken as the nearest one.
    pub fn value(&self, index: i64) -> Decimal {
        // Both ends of the grid fit, or there would be none, and so does all between them.
        self.grid.value(index).unwrap_or(self.min)
    }

    /// The index of the value nearest to `value`, ties to even; always one of the domain's.
    ///
    /// Exact as long as the index is within ±2^50; above, a neighbour may be given.
    pub fn nearest(&self, value: f64) -> i64 {
        self.grid.cell(self.grid.place(value))
    }

    /// The line on which proposals are made.
    pub(super) const fn grid(&self) -> &Grid {
        &self.grid
    }

    /// Whether both bounds are above or both below zero.
    pub(super) const fn has_one_sign(&self) -> bool {
        self.min.mantissa() > 0 || self.max.mantissa() < 0
    }
}

/// The greatest power of ten with about ten values within the bounds, or else with two.
fn coarsest_useful_step(kind: Kind, min: Decimal, max: Decimal) -> Option<Decimal> {
    let power = |exponent: i8| match exponent {
        0.. => Decimal::new(10_i64.pow(u32::from(exponent.unsigned_abs())), 0),
        _ => Decimal::new(1, exponent.unsigned_abs()),
    };
    let least = if kind == Kind::Int { 0 } else { -18 };
    let tenth = (common(max) - common(min)) / 10;
    let steps: Vec<Decimal> = (least..=15).filter_map(power).collect();
    let fine = steps.iter().take_while(|step| common(**step) <= tenth).count();
    let works = |step: &&Decimal| Grid::new(min, max, **step).is_ok();
    steps.iter().skip(fine.saturating_sub(1)).find(works).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn domain(kind: Kind, [min, max, step]: [&str; 3]) -> Result<Domain, DomainError> {
        let decimal = |text: &str| text.parse::<Decimal>().unwrap();
        Domain::new(kind, decimal(min), decimal(max), decimal(step))
    }

    fn refusal(kind: Kind, texts: [&str; 3]) -> String {
        domain(kind, texts).unwrap_err().to_string()
    }

    #[test]
    fn the_grid_is_what_lies_within_the_bounds() {
        let on_grid = domain(Kind::Float, ["0.01", "0.20", "0.001"]).unwrap();
        assert_eq!((on_grid.indices(), on_grid.count()), ((10, 200), 191));
        let off_grid = domain(Kind::Float, ["0.0104", "0.0196", "0.001"]).unwrap();
        assert_eq!(off_grid.indices(), (11, 19));
        assert_eq!(off_grid.value(11).to_string(), "0.011");
        let negative = domain(Kind::Float, ["-0.355", "-0.02", "0.01"]).unwrap();
        assert_eq!(negative.indices(), (-35, -2));
        let fives = domain(Kind::Int, ["-7", "12", "5"]).unwrap();
        assert_eq!(fives.indices(), (-1, 2));
        assert_eq!(fives.value(fives.nearest(8.0)).to_string(), "10");
    }

    #[test]
    fn indices_and_values_outside_are_taken_as_the_nearest() {
        let domain = domain(Kind::Int, ["1", "60", "1"]).unwrap();
        assert_eq!(domain.value(i64::MIN).mantissa(), 1);
        assert_eq!(domain.value(i64::MAX).mantissa(), 60);
        let strange = [f64::NEG_INFINITY, f64::INFINITY, f64::NAN];
        assert_eq!(strange.map(|value| domain.nearest(value)), [1, 60, 1]);
    }

    #[test]
    fn bounds_contain_what_is_off_the_grid_too() {
        let domain = domain(Kind::Float, ["0.01", "0.20", "0.001"]).unwrap();
        assert!([0.01, 0.1234, 0.2].iter().all(|value| domain.contains(*value)));
        assert!([0.0099, 0.2001, f64::NAN].iter().all(|value| !domain.contains(*value)));
    }

    #[test]
    fn refusals_say_what_to_do() {
        insta::assert_snapshot!(refusal(Kind::Float, ["0.2", "0.1", "0.01"]), @"min 0.2 must be below max 0.1");
        insta::assert_snapshot!(refusal(Kind::Float, ["0.1", "0.2", "0"]), @"step 0 must be above 0");
        insta::assert_snapshot!(refusal(Kind::Int, ["1", "60.5", "1"]), @"max 60.5 must be a whole number for an int parameter");
        insta::assert_snapshot!(refusal(Kind::Float, ["0.01", "0.2", "1"]), @"step 1 has 0 of its multiples within 0.01 to 0.2, and a mutation needs two; a step of 0.01 would do");
        insta::assert_snapshot!(refusal(Kind::Int, ["1", "60", "40"]), @"step 40 has 1 of its multiples within 1 to 60, and a mutation needs two; a step of 1 would do");
        insta::assert_snapshot!(refusal(Kind::Float, ["1", "9007199254740992", "0.1"]), @"the multiples of step 0.1 within 1 to 9007199254740992 have more digits than a double holds; take a coarser step");
        insta::assert_snapshot!(refusal(Kind::Float, ["90071992547409.92", "90071992547410", "1000"]), @"step 1000 has 0 of its multiples within 90071992547409.92 to 90071992547410, and a mutation needs two; widen the bounds");
    }

    proptest! {
        #[test]
        fn a_step_that_is_advised_would_do(
            min in -1_000_000_i64..1_000_000, span in 1_i64..1_000_000, scale in 0_u8..=18,
        ) {
            let at = |mantissa| Decimal::new(mantissa, scale).unwrap();
            let step = Decimal::new(10_000_000_000, 0).unwrap();
            let (min, max) = (at(min), at(min + span));
            let Err(DomainError::TooCoarse { better: Some(better), .. }) = Domain::new(Kind::Float, min, max, step) else {
                panic!("too coarse by construction");
            };
            prop_assert!(Domain::new(Kind::Float, min, max, better).is_ok());
        }

        #[test]
        fn a_grid_value_is_nearest_to_itself(
            first in -1_000_000_000_i64..1_000_000_000, share in 0.0..1.0_f64, mantissa in 1_i64..1000, scale in 0_u8..=9,
        ) {
            let step = Decimal::new(mantissa, scale).unwrap();
            let at = |index: i64| Decimal::new(index * mantissa, scale).unwrap();
            let domain = Domain::new(Kind::Float, at(first), at(first + 1000), step).unwrap();
            #[expect(clippy::cast_possible_truncation, reason = "below 1000")]
            let index = first + (share * 1000.0) as i64;
            prop_assert_eq!(domain.nearest(domain.value(index).to_f64()), index);
        }
    }
}
