//! What fitness may be expected of values, by those that were evaluated last.

use super::matrix::Symmetric;

/// A quadratic function fitted to evaluations, in coordinates about the best of them; smaller is better.
///
/// Weighted least squares as in the local meta-models of S. Kern, N. Hansen & P. Koumoutsakos, "Local
/// Meta-Models for Optimization Using Evolution Strategies", PPSN IX (2006), and linear, with squares,
/// or with all products as there are points enough, as in N. Hansen, "A Global Surrogate Assisted
/// CMA-ES" (2019). It only says which of several proposals is worth an evaluation; it is never a fitness.
#[derive(Clone, Debug)]
pub(super) struct Model {
    base: Vec<f64>,
    reach: Vec<f64>,
    terms: Terms,
    factors: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terms {
    Linear,
    Squares,
    Products,
}

impl Model {
    /// Fits points, the best first, each with a cost of which smaller is better; `None` where they are too few.
    pub(super) fn fit(points: &[(Vec<f64>, f64)]) -> Option<Self> {
        let (base, least) = points.first()?;
        let size = base.len();
        let terms = Terms::of(points.len(), size)?;
        let mut reach = vec![1e-9_f64; size];
        for (at, _) in points {
            for (reach, (at, base)) in reach.iter_mut().zip(at.iter().zip(base)) {
                *reach = reach.max((at - base).abs());
            }
        }
        // Costs between 0 and 1, or the far ones of a steep function would drown the near ones.
        let height = points.iter().fold(f64::MIN_POSITIVE, |all, (_, cost)| all.max(cost - least));
        let mut model = Self { base: base.clone(), reach, terms, factors: Vec::new() };
        let count = terms.count(size);
        let (mut matrix, mut right) = (Symmetric::zero(count), vec![0.0; count]);
        for (rank, (at, cost)) in points.iter().enumerate() {
            let share = rank as f64 / (points.len() - 1).max(1) as f64;
            let weight = (1.0 - 0.95 * share).powi(2);
            let row = model.row(at);
            matrix.add_square(weight, &row);
            let cost = weight * (cost - least) / height;
            right.iter_mut().zip(&row).for_each(|(sum, cell)| *sum += cost * cell);
        }
        matrix.add_ridge(count, 1e-9);
        model.factors = matrix.triangle(count).solve(&right);
        model.factors.iter().all(|factor| factor.is_finite()).then_some(model)
    }

    /// The expected cost.
    pub(super) fn cost(&self, at: &[f64]) -> f64 {
        self.row(at).iter().zip(&self.factors).map(|(cell, factor)| cell * factor).sum()
    }

    fn row(&self, at: &[f64]) -> Vec<f64> {
        let near = at.iter().zip(&self.base).zip(&self.reach);
        let near: Vec<f64> = near.map(|((at, base), reach)| (at - base) / reach).collect();
        let mut row = Vec::with_capacity(self.terms.count(near.len()));
        row.push(1.0);
        row.extend_from_slice(&near);
        if self.terms != Terms::Linear {
            row.extend(near.iter().map(|x| x * x));
        }
        if self.terms == Terms::Products {
            for (at, x) in near.iter().enumerate() {
                row.extend(near[..at].iter().map(|y| x * y));
            }
        }
        row
    }
}

impl Terms {
    /// As many as the points carry, with a tenth to spare.
    fn of(points: usize, size: usize) -> Option<Self> {
        let carries = |terms: &Self| points * 10 >= terms.count(size) * 11;
        [Self::Products, Self::Squares, Self::Linear]
            .into_iter()
            .find(carries)
            .filter(|_| size > 0 && points > 2 * size + 1)
    }

    const fn count(self, size: usize) -> usize {
        match self {
            Self::Linear => 1 + size,
            Self::Squares => 1 + 2 * size,
            Self::Products => (size + 1) * (size + 2) / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: u32, cost: impl Fn(f64, f64) -> f64) -> Vec<(Vec<f64>, f64)> {
        let at = |n: u32| (f64::from(n * 7 % 13) / 13.0, f64::from(n * 5 % 11) / 11.0);
        let mut all: Vec<_> = (0..count).map(at).map(|(x, y)| (vec![x, y], cost(x, y))).collect();
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        all
    }

    #[test]
    fn a_quadratic_function_is_found_as_it_is() {
        let cost = |x: f64, y: f64| 3.0 + (x - 0.3).powi(2) + 2.0 * (x - y) * (x + 1.0);
        let all = points(20, cost);
        let model = Model::fit(&all).unwrap();
        assert_eq!(model.terms, Terms::Products);
        let height = all[19].1 - all[0].1;
        for (x, y) in [(0.5, 0.5), (2.0, -1.0), (-3.0, 0.1)] {
            let expected = (cost(x, y) - all[0].1) / height;
            assert!((model.cost(&[x, y]) - expected).abs() < 1e-5, "{x} {y}");
        }
    }

    #[test]
    fn as_many_terms_as_the_points_carry() {
        let terms = |count| Model::fit(&points(count, |x, _| x)).map(|model| model.terms);
        assert_eq!(terms(5), None);
        assert_eq!(terms(6), Some(Terms::Squares));
        assert_eq!(terms(7), Some(Terms::Products));
        assert!(Model::fit(&[]).is_none());
    }

    #[test]
    fn points_that_are_all_alike_make_no_numbers_that_are_none() {
        let all = vec![(vec![1.0, 2.0], 5.0); 30];
        assert!(Model::fit(&all).is_none_or(|model| model.cost(&[1.0, 2.0]).is_finite()));
    }
}
