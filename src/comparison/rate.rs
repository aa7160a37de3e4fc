//! Rates of success, and the difference of two.

use super::normal::two_sided;
use serde::Serialize;

/// From and to, both within.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval(pub f64, pub f64);

impl Interval {
    /// Whether it leaves zero out.
    pub fn excludes_zero(self) -> bool {
        self.0 > 0.0 || self.1 < 0.0
    }
}

/// So many of so many. Neither need be whole: a design effect divides both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    successes: f64,
    attempts: f64,
}

impl Rate {
    /// Of attempts of which there is at least one.
    pub fn new(successes: u64, attempts: u64) -> Self {
        let attempts = attempts.max(1);
        Self { successes: successes.min(attempts) as f64, attempts: attempts as f64 }
    }

    /// With as much to say as that many fewer attempts.
    #[must_use]
    pub fn weakened(self, divisor: f64) -> Self {
        Self { successes: self.successes / divisor, attempts: self.attempts / divisor }
    }

    /// Whether something succeeded and something did not.
    pub(super) fn is_between(self) -> bool {
        self.successes > 0.0 && self.successes < self.attempts
    }

    /// The share, 0..=1.
    pub fn share(self) -> f64 {
        self.successes / self.attempts
    }

    /// Wilson's score interval (E. B. Wilson, JASA 22, 1927), which is right for shares of 0 and 1 too.
    pub fn interval(self, confidence: f64) -> Interval {
        self.reaching(two_sided(confidence))
    }

    /// The same by the number of standard errors.
    fn reaching(self, z: f64) -> Interval {
        let (share, number) = (self.share(), self.attempts);
        let scale = 1.0 + z * z / number;
        let centre = (share + z * z / (2.0 * number)) / scale;
        let spread = share * (1.0 - share) / number + z * z / (4.0 * number * number);
        let half = z / scale * spread.sqrt();
        // Rounding may not put the share itself outside.
        Interval((centre - half).clamp(0.0, share), (centre + half).clamp(share, 1.0))
    }

    /// By how much the share of `b` is above that of `a`, from the two intervals of Wilson: method 10 of R. G. Newcombe,
    /// "Interval estimation for the difference between independent proportions", Statistics in Medicine 17 (1998).
    pub fn difference(a: Self, b: Self, confidence: f64) -> Interval {
        Self::difference_reaching(a, b, two_sided(confidence))
    }

    /// The same by the number of standard errors.
    pub(super) fn difference_reaching(a: Self, b: Self, z: f64) -> Interval {
        let (of_a, of_b) = (a.reaching(z), b.reaching(z));
        let (share_a, share_b) = (a.share(), b.share());
        let difference = share_b - share_a;
        Interval(
            (difference - (share_b - of_b.0).hypot(of_a.1 - share_a)).max(-1.0),
            (difference + (of_b.1 - share_b).hypot(share_a - of_a.0)).min(1.0),
        )
    }

    /// Cohen's h: the difference of the arcsine-transformed shares.
    pub fn cohens_h(a: f64, b: f64) -> f64 {
        2.0 * (b.clamp(0.0, 1.0).sqrt().asin() - a.clamp(0.0, 1.0).sqrt().asin())
    }
}
