//! What holds for every proposal, what holds for many, and which are the first.

mod golden;
mod laws;
mod statistics;

use super::{BoundRule, Domain, Mutator, Operator};
use crate::units::{Decimal, Kind};

fn domain(kind: Kind, [min, max, step]: [&str; 3]) -> Domain {
    let decimal = |text: &str| text.parse::<Decimal>().unwrap();
    Domain::new(kind, decimal(min), decimal(max), decimal(step)).unwrap()
}

fn float(min: &str, max: &str, step: &str) -> Domain {
    domain(Kind::Float, [min, max, step])
}

fn int(min: &str, max: &str) -> Domain {
    domain(Kind::Int, [min, max, "1"])
}

fn mutator(domain: Domain, operator: Operator) -> Mutator {
    Mutator::new(domain, Some(operator), None, BoundRule::Reflect).unwrap()
}
