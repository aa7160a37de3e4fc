//! In which directions to step: what survived of earlier steps.

use super::matrix::{Symmetric, Triangle};
use serde::{Deserialize, Serialize};

/// The covariance of a round's steps, in units of each parameter's step size, and the way that the
/// centre of the survivors went.
///
/// N. Hansen & A. Ostermeier, "Completely Derandomized Self-Adaptation in Evolution Strategies"
/// (2001), with the update of N. Hansen, "The CMA Evolution Strategy: A Tutorial" (2016); but the
/// step size is that of the success rule, and the parents are among those selected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shape {
    path: Vec<f64>,
    covariance: Symmetric,
}

impl Shape {
    pub(super) fn round(size: usize) -> Self {
        Self { path: vec![0.0; size], covariance: Symmetric::identity(size) }
    }

    /// This shape if it is one of `size` parameters, or else a round one.
    pub(super) fn fitted(self, size: usize) -> Self {
        if self.is_sound(size) { self } else { Self::round(size) }
    }

    /// Whether it is one of `size` parameters.
    pub(super) fn is_sound(&self, size: usize) -> bool {
        let path = self.path.len() == size && self.path.iter().all(|step| step.is_finite());
        path && self.covariance.is_sound(size)
    }

    /// Learns from the survivors of a round: how far the centre of all went, and the steps of those
    /// that were born in it with their weights. `breadth` is how many individuals the weights stand for.
    pub(super) fn learn(&mut self, breadth: f64, centre: &[f64], newborn: &[(f64, Vec<f64>)]) {
        let size = self.path.len() as f64;
        let memory = 2.0 / (size + 2.0);
        let one = 2.0 / ((size + 1.3).powi(2) + breadth);
        let many = (2.0 * breadth / ((size + 2.0).powi(2) + breadth)).min(1.0 - one);
        let fresh = (memory * (2.0 - memory) * breadth).sqrt();
        for (path, step) in self.path.iter_mut().zip(centre) {
            *path = (1.0 - memory) * *path + fresh * step;
        }
        let total: f64 = newborn.iter().map(|(weight, _)| weight).sum();
        self.covariance.scale(1.0 - one - many * total);
        self.covariance.add_square(one, &self.path);
        for (weight, step) in newborn {
            self.covariance.add_square(many * weight, step);
        }
        let size = self.path.len();
        if !self.covariance.is_sound(size) {
            *self = Self::round(size);
        }
    }

    pub(super) fn triangle(&self) -> Triangle {
        self.covariance.triangle(self.path.len())
    }

    /// The standard deviation along one parameter.
    pub(super) fn spread(&self, parameter: usize) -> f64 {
        self.covariance.at(parameter, parameter).max(0.0).sqrt()
    }
}
