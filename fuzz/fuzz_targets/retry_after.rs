//! The value of `Retry-After`, and of `Date` after a line end: a wait or none, and no delivery waits past its deadline.

#![cfg_attr(fuzzing, no_main)]

use answering::{HOUSE, LIMIT};
use mutation_agent::gateway::{Ending, Outcome, RetryPolicy, Schedule, deliver};
use std::time::Duration;

#[path = "../support/answering.rs"]
mod answering;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let mut values = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let (asked, own_date) = (values.next().unwrap_or_default(), values.next());
    let mut head = b"HTTP/1.1 429 X\r\nContent-Length: 0\r\nRetry-After: ".to_vec();
    head.extend(asked);
    if let Some(date) = own_date {
        head.extend(b"\r\nDate: ");
        head.extend(date);
    }
    head.extend(b"\r\n\r\n");
    HOUSE.with(|house| {
        // Anything else is a head that is no head.
        let Outcome::Retryable { retry_after, .. } = house.attempt(&head) else { return };
        if !asked.is_empty() && asked.iter().all(u8::is_ascii_digit) && is_clean(own_date) {
            let seconds = str::from_utf8(asked).unwrap().parse().unwrap_or(u64::MAX);
            assert_eq!(retry_after, Some(Duration::from_secs(seconds)));
        }
        if let Some(wait) = retry_after.filter(|wait| *wait >= LIMIT) {
            let policy = RetryPolicy::new(LIMIT, LIMIT, 1.0).ok();
            let schedule = Schedule { policy, attempt_timeout: LIMIT, deadline: LIMIT };
            let push = deliver(&house.client, &house.body, schedule, std::future::pending::<()>());
            let delivery = house.answered(push, &head);
            let undelivered = delivery.result.unwrap_err();
            assert_eq!(undelivered.ending(), Ending::RetryAfter(wait));
            assert!(undelivered.to_string().contains("it asks to wait"));
            assert!(delivery.elapsed < LIMIT / 2, "it was waited");
        }
    });
}

/// Whether a value makes no head that ends early.
fn is_clean(value: Option<&[u8]>) -> bool {
    value.unwrap_or_default().iter().all(|byte| (b' '..=b'~').contains(byte))
}
