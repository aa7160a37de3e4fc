//! The waits between attempts: exponential, with full jitter.
//!
//! This is the only file that knows the `backoff` crate, which is unmaintained (RUSTSEC-2025-0012). To replace
//! it, rewrite [`Waits`]: fifteen lines and a random number.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    initial: Duration,
    max: Duration,
    multiplier: f64,
}

/// Why the three numbers are no policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Nothing to wait.
    #[error("`initial` must be more than 0 and at most `max`")]
    Initial,
    /// Waits must not shrink.
    #[error("`multiplier` must be a number from 1 to 100")]
    Multiplier,
}

impl RetryPolicy {
    /// Waits of up to `initial`, then `multiplier` times as much each time, `max` at the most.
    pub fn new(
        initial: Duration,
        max: Duration,
        multiplier: f64,
    ) -> Result<Self, RetryPolicyError> {
        if initial.is_zero() || initial > max {
            return Err(RetryPolicyError::Initial);
        }
        if !(1.0..=100.0).contains(&multiplier) {
            return Err(RetryPolicyError::Multiplier);
        }
        Ok(Self { initial, max, multiplier })
    }

    /// The longest that the first wait can be.
    pub const fn initial(&self) -> Duration {
        self.initial
    }

    /// The longest that any wait can be.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// By how much the longest wait grows from one to the next.
    pub const fn multiplier(&self) -> f64 {
        self.multiplier
    }

    /// A fresh row of waits.
    pub(super) fn waits(&self) -> Waits {
        // The crate draws from interval × (1 ± factor). With a factor of 1 and half the interval that is
        // 0..=interval, the full jitter of https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/:
        // of many machines whose timers fire at the same second, no two come back together.
        let mut inner = ExponentialBackoff {
            initial_interval: self.initial / 2,
            max_interval: self.max / 2,
            multiplier: self.multiplier,
            randomization_factor: 1.0,
            // The deadline is the delivery's business.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        inner.reset();
        Waits { inner, max: self.max }
    }
}

/// One delivery's row of waits; it never ends.
pub(super) struct Waits {
    inner: ExponentialBackoff,
    max: Duration,
}

impl Waits {
    pub(super) fn next(&mut self) -> Duration {
        // The crate may draw one nanosecond too much.
        self.inner.next_backoff().unwrap_or(self.max).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// The longest and the mean of 2,000 draws for each of the first `count` waits.
    fn drawn(policy: RetryPolicy, count: usize) -> Vec<(Duration, Duration)> {
        const DRAWS: u32 = 2000;
        let mut stats = vec![(Duration::ZERO, Duration::ZERO); count];
        for _ in 0..DRAWS {
            let mut waits = policy.waits();
            for (longest, sum) in &mut stats {
                let wait = waits.next();
                *longest = wait.max(*longest);
                *sum += wait;
            }
        }
        stats.into_iter().map(|(longest, sum)| (longest, sum / DRAWS)).collect()
    }

    #[test]
    fn waits_are_uniform_from_zero_to_an_interval_that_doubles_up_to_the_maximum() {
        let policy = RetryPolicy::new(millis(500), millis(3000), 2.0).unwrap();
        let intervals = [500, 1000, 2000, 3000, 3000].map(millis);
        for ((longest, mean), interval) in drawn(policy, 5).into_iter().zip(intervals) {
            assert!(longest <= interval + Duration::from_nanos(2), "{longest:?} of {interval:?}");
            assert!(longest > interval.mul_f64(0.98), "{longest:?} of {interval:?}");
            // The mean of 2,000 uniform draws strays by 0.65 % of the interval; this is five times that.
            let stray = (mean.as_secs_f64() / interval.as_secs_f64() - 0.5).abs();
            assert!(stray < 0.035, "{mean:?} of {interval:?}");
        }
    }

    #[test]
    fn a_multiplier_of_one_keeps_the_interval() {
        let policy = RetryPolicy::new(millis(10), millis(10), 1.0).unwrap();
        assert!(drawn(policy, 3).iter().all(|(longest, _)| *longest <= millis(10)));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        let new = |initial, max, multiplier| RetryPolicy::new(initial, max, multiplier).map(|_| ());
        assert_eq!(new(Duration::ZERO, millis(1), 2.0), Err(RetryPolicyError::Initial));
        assert_eq!(new(millis(2), millis(1), 2.0), Err(RetryPolicyError::Initial));
        for multiplier in [0.5, f64::NAN, f64::INFINITY, 101.0] {
            assert_eq!(new(millis(1), millis(1), multiplier), Err(RetryPolicyError::Multiplier));
        }
    }
}
