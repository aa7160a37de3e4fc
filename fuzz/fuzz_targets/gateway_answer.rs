//! The bytes that a gateway answers a push with, over a real connection: an outcome within its time, in words that are
//! short, on one line, and without our secret.

#![cfg_attr(fuzzing, no_main)]

use answering::{HOUSE, SECRET};
use mutation_agent::gateway::{Outcome, Reason};

#[path = "../support/answering.rs"]
mod answering;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// What of an answer's text is read, in bytes, and so the most that it can have in characters; what stands in a
/// secret's place is longer only where the limit has cut the secret.
const LONGEST: usize = 4096 + "[redacted]".len();

pub(crate) fn check(data: &[u8]) {
    HOUSE.with(|house| {
        let reason = match house.attempt(data) {
            Outcome::Delivered { status } => {
                assert!((200..300).contains(&status));
                return;
            }
            Outcome::Retryable { reason, .. } | Outcome::Final { reason } => reason,
        };
        for shown in [reason.to_string(), format!("{reason:?}")] {
            assert!(!shown.contains(SECRET), "{shown}");
            assert!(!shown.contains(|c: char| c.is_control()), "{shown:?}");
        }
        if let Reason::Status { code, text, location } = reason {
            assert!(!(200..300).contains(&code));
            assert!(text.chars().count() <= LONGEST);
            assert!(location.unwrap_or_default().chars().count() <= LONGEST);
        }
    });
}
