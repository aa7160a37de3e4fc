//! What holds for every proposal.

use super::{float, int, mutator};
use crate::mutation::{BoundRule, Domain, Mutator, MutatorError, Operator, Streams};
use crate::units::{Decimal, Kind};
use proptest::prelude::*;
use proptest::sample::select;

/// Domains of all sizes on both sides of zero, their bounds on and off the grid.
fn domains() -> impl Strategy<Value = Domain> {
    let bounds = (-100_000_i64..100_000, 1_i64..100_000, 0_u8..=6, 1_i64..50, any::<bool>());
    bounds.prop_filter_map("too coarse", |(min, width, scale, step, whole)| {
        let (kind, scale) = if whole { (Kind::Int, 0) } else { (Kind::Float, scale) };
        let at = |mantissa| Decimal::new(mantissa, scale).unwrap();
        Domain::new(kind, at(min), at(min + width), at(step)).ok()
    })
}

fn rules() -> impl Strategy<Value = BoundRule> {
    select(vec![BoundRule::Reflect, BoundRule::Resample, BoundRule::Clamp])
}

fn mutators() -> impl Strategy<Value = Mutator> {
    let parts =
        (domains(), select(Operator::ALL.to_vec()), prop::option::of(1e-9_f64..=1.0), rules());
    parts.prop_filter_map(
        "an operator that cannot work there",
        |(domain, operator, sigma, rule)| {
            let sigma = operator.default_sigma().and(sigma);
            Mutator::new(domain, Some(operator), sigma, rule).ok()
        },
    )
}

/// A double within the bounds, mostly off the grid; the whole numbers of an int domain.
fn current(mutator: &Mutator, share: f64) -> f64 {
    let (min, max) = mutator.domain().bounds();
    let value = min.to_f64() + share * (max.to_f64() - min.to_f64());
    let value = if mutator.domain().kind() == Kind::Int { value.round() } else { value };
    value.clamp(min.to_f64(), max.to_f64())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_proposal_is_a_value_of_the_domain(
        mutator in mutators(), share in 0.0_f64..=1.0, seed in any::<u64>(),
    ) {
        let current = current(&mutator, share);
        let proposal = mutator.propose(current, &mut Streams::new(seed, 1, "s").attempt(1));
        let (domain, value) = (mutator.domain(), proposal.value);
        prop_assert!(domain.contains(value.to_f64()), "{:?} left {:?}", proposal, domain);
        prop_assert_eq!(domain.value(domain.nearest(value.to_f64())), value);
        let step = domain.step();
        let scale = step.scale().max(value.scale());
        prop_assert_eq!(value.mantissa_at(scale).unwrap() % step.mantissa_at(scale).unwrap(), 0);
        prop_assert_eq!(value.to_string().parse::<f64>().unwrap().to_bits(), value.to_f64().to_bits());
        prop_assert!(domain.kind() == Kind::Float || value.scale() == 0);
    }

    #[test]
    fn changed_means_different_and_unchanged_means_the_nearest(
        mutator in mutators(), share in 0.0_f64..=1.0, seed in any::<u64>(),
    ) {
        let current = current(&mutator, share);
        let proposal = mutator.propose(current, &mut Streams::new(seed, 1, "s").attempt(1));
        if proposal.changed {
            prop_assert!(proposal.value.to_f64().to_bits() != current.to_bits());
        } else {
            let domain = mutator.domain();
            prop_assert_eq!(proposal.value, domain.value(domain.nearest(current)));
        }
    }

    #[test]
    fn no_current_value_is_too_strange(mutator in mutators(), current in any::<f64>(), seed in any::<u64>()) {
        let proposal = mutator.propose(current, &mut Streams::new(seed, 1, "s").attempt(1));
        prop_assert!(mutator.domain().contains(proposal.value.to_f64()));
    }

    #[test]
    fn the_order_of_attempts_does_not_matter(mutator in mutators(), share in 0.0_f64..=1.0, seed in any::<u64>()) {
        let current = current(&mutator, share);
        let streams = Streams::new(seed, 3, "strategies/momentum.py");
        let propose = |attempt| mutator.propose(current, &mut streams.attempt(attempt));
        let forwards: Vec<_> = (0..20).map(propose).collect();
        let mut backwards: Vec<_> = (0..20).rev().map(propose).collect();
        backwards.reverse();
        prop_assert_eq!(forwards, backwards);
    }
}

#[test]
fn the_default_operator_follows_the_signs_of_the_bounds() {
    let operator = |domain| {
        Mutator::new(domain, None, None, BoundRule::Reflect).map(|m| (m.operator(), m.sigma()))
    };
    let (lognormal, gaussian) =
        ((Operator::Lognormal, Some(0.15)), (Operator::Gaussian, Some(0.1)));
    assert_eq!(operator(float("0.01", "0.2", "0.001")), Ok(lognormal));
    assert_eq!(operator(float("-0.35", "-0.02", "0.01")), Ok(lognormal));
    assert_eq!(operator(float("0", "0.5", "0.001")), Ok(gaussian));
    assert_eq!(operator(float("-0.5", "0", "0.001")), Ok(gaussian));
    assert_eq!(operator(int("-5", "5")), Ok(gaussian));
}

#[test]
fn refusals_say_what_to_do() {
    let refusal = |domain: Domain, operator, sigma| {
        let error = Mutator::new(domain, Some(operator), sigma, BoundRule::Reflect).unwrap_err();
        error.to_string()
    };
    let (zero, negative) = (|| float("0", "0.5", "0.001"), || float("-0.35", "-0.02", "0.01"));
    insta::assert_snapshot!(refusal(zero(), Operator::Lognormal, None), @"lognormal needs bounds that are both above or both below zero, not 0 to 0.5; take gaussian");
    insta::assert_snapshot!(refusal(negative(), Operator::CompatGaussian, None), @"compat-gaussian takes the absolute value and needs bounds of zero or more, not -0.35 to -0.02; take lognormal or gaussian");
    insta::assert_snapshot!(refusal(zero(), Operator::Uniform, Some(0.1)), @"uniform has no sigma; leave it out");
    insta::assert_snapshot!(refusal(zero(), Operator::Gaussian, Some(1.5)), @"sigma 1.5 must be above 0 and at most 1");
    for sigma in [0.0, -0.1, f64::NAN, f64::INFINITY] {
        let refused = Mutator::new(zero(), None, Some(sigma), BoundRule::Reflect);
        assert!(matches!(refused, Err(MutatorError::SigmaOutOfRange { .. })), "{sigma}");
    }
}

#[test]
fn the_sign_of_a_value_stays_under_lognormal() {
    let mutator = mutator(float("-0.35", "-0.02", "0.01"), Operator::Lognormal);
    let streams = Streams::new(1, 1, "s");
    assert!((0..1000).all(|n| mutator.propose(-0.1, &mut streams.attempt(n)).value.to_f64() < 0.0));
}

#[test]
fn compat_gaussian_clamps_whatever_the_rule() {
    let compat = Some(Operator::CompatGaussian);
    let mutator = Mutator::new(int("1", "60"), compat, None, BoundRule::Resample).unwrap();
    assert_eq!(mutator.rule(), BoundRule::Clamp);
}

#[test]
fn a_value_that_cannot_change_is_given_back_as_unchanged() {
    // 0·(1 + σN) is 0, however often it is drawn.
    let mutator = mutator(float("0", "0.5", "0.001"), Operator::CompatGaussian);
    let proposal = mutator.propose(0.0, &mut Streams::new(1, 1, "s").attempt(0));
    assert!(!proposal.changed && !proposal.clamped);
    assert_eq!(proposal.value.mantissa(), 0);
}
