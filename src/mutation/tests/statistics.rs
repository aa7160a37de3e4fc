//! What holds for many proposals. Seeds are fixed, so these tests cannot fail by chance.

use super::{float, int, mutator};
use crate::mutation::{BoundRule, Domain, Mutator, Operator, Streams};

/// The values at which `chains` walks from `start` end after `steps` mutations without selection.
fn ends(mutator: &Mutator, start: f64, steps: u64, chains: u64) -> Vec<f64> {
    let walk = |chain| {
        let mut rng = Streams::new(chain, 1, "walk").attempt(0);
        (0..steps).fold(start, |x, _| {
            let proposal = mutator.propose(x, &mut rng);
            if proposal.changed { proposal.value.to_f64() } else { x }
        })
    };
    (0..chains).map(walk).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How often a walk visits every value, in the order of the indices.
fn visits(mutator: &Mutator, start: f64, steps: u64) -> Vec<u32> {
    let domain = mutator.domain();
    let (first, last) = domain.indices();
    let mut rng = Streams::new(9, 1, "visits").attempt(0);
    let mut counts = vec![0; usize::try_from(domain.count()).unwrap()];
    assert_eq!(counts.len() as u64, last.abs_diff(first) + 1);
    let mut x = start;
    for _ in 0..steps {
        x = mutator.propose(x, &mut rng).value.to_f64();
        counts[usize::try_from(domain.nearest(x) - first).unwrap()] += 1;
    }
    counts
}

fn edge_to_neighbours(counts: &[u32]) -> [f64; 2] {
    let ratio = |edge: u32, next: &[u32]| {
        f64::from(edge) * next.len() as f64 / f64::from(next.iter().sum::<u32>())
    };
    let n = counts.len();
    [ratio(counts[0], &counts[1..6]), ratio(counts[n - 1], &counts[n - 6..n - 1])]
}

fn with_rule(domain: Domain, operator: Operator, rule: BoundRule) -> Mutator {
    Mutator::new(domain, Some(operator), None, rule).unwrap()
}

#[test]
fn mirrors_leave_no_pile_at_the_bounds_where_clamping_does() {
    let domain = || float("0.01", "0.20", "0.001");
    for operator in [Operator::Lognormal, Operator::Gaussian] {
        let at =
            |rule| edge_to_neighbours(&visits(&with_rule(domain(), operator, rule), 0.1, 400_000));
        let reflected = at(BoundRule::Reflect);
        assert!(
            reflected.iter().all(|ratio| (0.8..1.35).contains(ratio)),
            "{operator} {reflected:?}"
        );
        let clamped = at(BoundRule::Clamp);
        assert!(clamped[1] > 3.0, "{operator} {clamped:?}");
        let resampled = at(BoundRule::Resample);
        assert!(resampled.iter().all(|ratio| *ratio < 1.35), "{operator} {resampled:?}");
    }
}

#[test]
fn a_mirrored_walk_of_whole_numbers_visits_all_alike() {
    let counts = visits(&mutator(int("1", "10"), Operator::Gaussian), 5.0, 400_000);
    let (inner, edges) = (&counts[1..9], [counts[0], counts[9]]);
    assert!(inner.iter().all(|count| count.abs_diff(43_300) < 1_500), "{counts:?}");
    // A mirrored move can end where it began; redrawing that makes the edges a little rarer.
    assert!(edges.iter().all(|count| (25_000..43_300).contains(count)), "{counts:?}");
}

#[test]
fn lognormal_does_not_drift_and_compat_gaussian_does() {
    let wide = mutator(float("0.0001", "100", "0.0001"), Operator::Lognormal);
    let drift = (median(ends(&wide, 0.1, 300, 2_000)) / 0.1).ln();
    // The median's standard error is 1.25 · 0.15 · √300 / √2000 = 0.07.
    assert!(drift.abs() < 0.2, "{drift}");

    let domain = float("0.01", "0.20", "0.001");
    let compat = mutator(domain.clone(), Operator::CompatGaussian);
    let sunk = median(ends(&compat, 0.1, 300, 2_000));
    assert!((0.016..=0.020).contains(&sunk), "{sunk}");
    // Within these bounds lognormal ends around their geometric mean, 0.045.
    let stayed = median(ends(&mutator(domain, Operator::Lognormal), 0.1, 300, 2_000));
    assert!((0.040..=0.052).contains(&stayed), "{stayed}");
}

#[test]
fn lognormal_whole_numbers_do_not_drift_either() {
    let whole = mutator(int("1", "1000000"), Operator::Lognormal);
    let drift = (median(ends(&whole, 1000.0, 300, 2_000)) / 1000.0).ln();
    assert!(drift.abs() < 0.2, "{drift}");
}

#[test]
fn a_whole_number_of_one_moves_on_but_stays_under_compat_gaussian() {
    let streams = Streams::new(5, 1, "one");
    let moved = |operator| {
        let mutator = mutator(int("1", "60"), operator);
        (0..10_000).filter(|n| mutator.propose(1.0, &mut streams.attempt(*n)).changed).count()
    };
    for operator in
        [Operator::Lognormal, Operator::Gaussian, Operator::Polynomial, Operator::Uniform]
    {
        assert!(moved(operator) > 9_950, "{operator}");
    }
    let compat = moved(Operator::CompatGaussian);
    assert!(compat < 100, "{compat}");
}

#[test]
fn moves_have_the_width_that_sigma_says() {
    let deviation = |domain: Domain, operator, start: f64, scale: fn(f64) -> f64| {
        let mutator = mutator(domain, operator);
        let mut rng = Streams::new(6, 1, "width").attempt(0);
        let squares = (0..100_000).map(|_| {
            let value = mutator.propose(start, &mut rng).value.to_f64();
            (scale(value) - scale(start)).powi(2)
        });
        (squares.sum::<f64>() / 1e5).sqrt()
    };
    // The geometric moves are exponential ones on the linear scale: 4 % more than on the logarithmic.
    let near = |value: f64, expected: f64| (value / expected - 1.0).abs() < 0.05;
    let lognormal = deviation(float("0.0001", "1000", "0.0001"), Operator::Lognormal, 1.0, f64::ln);
    assert!(near(lognormal, 0.15), "{lognormal}");
    let whole = deviation(int("1", "1000000"), Operator::Lognormal, 1000.0, f64::ln);
    assert!(near(whole, 0.15), "{whole}");
    let gaussian = deviation(float("-1", "1", "0.0001"), Operator::Gaussian, 0.0, |x| x);
    assert!(near(gaussian, 0.2), "{gaussian}");
    let whole = deviation(int("-1000", "1000"), Operator::Gaussian, 0.0, |x| x);
    assert!(near(whole, 200.0), "{whole}");
}

#[test]
fn uniform_is_flat() {
    let counts = visits(&mutator(int("1", "60"), Operator::Uniform), 30.0, 600_000);
    let chi_square: f64 = counts.iter().map(|n| (f64::from(*n) - 1e4).powi(2) / 1e4).sum();
    // 59 degrees of freedom: 98.3 is exceeded once in a thousand.
    assert!(chi_square < 98.3, "{chi_square}");
}

#[test]
fn polynomial_stays_mostly_near() {
    let mutator = mutator(float("0", "1", "0.0001"), Operator::Polynomial);
    let streams = Streams::new(8, 1, "near");
    let moves = |n| (mutator.propose(0.5, &mut streams.attempt(n)).value.to_f64() - 0.5).abs();
    let within = |width| (0..10_000).filter(|n| moves(*n) <= width).count();
    let (near, far) = (within(0.033), within(0.2));
    assert!((4_700..5_300).contains(&near), "{near}");
    assert!(far > 9_850, "{far}");
}
