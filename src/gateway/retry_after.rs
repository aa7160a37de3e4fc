//! `Retry-After`: how long a gateway asks us to stay away (RFC 9110, section 10.2.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::units::Timestamp;

/// The wait that an answer asks for. What is no number of seconds and no HTTP date is ignored.
///
/// A date is taken relative to the answer's own `Date`, so that no two clocks need to agree; without one,
/// relative to `now`. A date that is over asks for no wait.
pub(super) fn retry_after(
    headers: &HeaderMap,
    now: impl FnOnce() -> Timestamp,
) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a u64 holds are no less of a wish to be left alone.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = date(text)?;
    Some(until.since(date_of(headers).unwrap_or_else(now)))
}

/// When an answer was made, by the clock of who made it, to the second.
pub(super) fn date_of(headers: &HeaderMap) -> Option<Timestamp> {
    date(headers.get(DATE)?.to_str().ok()?)
}

fn date(text: &str) -> Option<Timestamp> {
    let time: SystemTime = httpdate::parse_http_date(text).ok()?;
    let micros = time.duration_since(UNIX_EPOCH).ok()?.as_micros();
    Some(Timestamp::from_micros(i64::try_from(micros).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Mon, 23 Nov 2026 02:00:00 GMT";
    const LATER: &str = "Mon, 23 Nov 2026 02:00:07 GMT";

    fn wait(headers: &[(&'static str, &str)]) -> Option<Duration> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        retry_after(&headers, || date("Mon, 23 Nov 2026 02:00:05 GMT").unwrap())
    }

    #[test]
    fn seconds_are_taken_as_they_are() {
        assert_eq!(wait(&[("retry-after", "2")]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", " 0 ")]), Some(Duration::ZERO));
        assert_eq!(
            wait(&[("retry-after", "99999999999999999999")]),
            Some(Duration::from_secs(u64::MAX))
        );
    }

    #[test]
    fn dates_count_from_the_answers_own_date() {
        let seven = Some(Duration::from_secs(7));
        assert_eq!(wait(&[("retry-after", LATER), ("date", NOW)]), seven);
    }

    #[test]
    fn without_the_answers_date_our_clock_counts() {
        assert_eq!(wait(&[("retry-after", LATER)]), Some(Duration::from_secs(2)));
        assert_eq!(wait(&[("retry-after", LATER), ("date", "soon")]), Some(Duration::from_secs(2)));
    }

    #[test]
    fn a_date_that_is_over_asks_for_nothing() {
        assert_eq!(wait(&[("retry-after", NOW)]), Some(Duration::ZERO));
    }

    #[test]
    fn nonsense_is_ignored() {
        for text in ["", "-1", "1.5", "+3", "soon", "2 s", "Mon, 99 Nov 2026 02:00:00 GMT"] {
            assert_eq!(wait(&[("retry-after", text)]), None, "{text}");
        }
        assert_eq!(wait(&[]), None);
    }
}
