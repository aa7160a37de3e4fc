//! Waiting for whatever comes first of several things.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, Timespec, poll};

/// Until one of them can be read or written, or `until`, or a signal. Whoever calls it looks at what there is, and
/// waits again.
pub(super) fn wait(fds: &mut [PollFd<'_>], until: Option<Instant>) {
    let timeout = until.map(|until| {
        // A day is as good as for ever, since whoever waits looks again.
        let left = until.saturating_duration_since(Instant::now()).min(Duration::from_hours(24));
        Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: left.subsec_nanos().into() }
    });
    let _ = poll(fds, timeout.as_ref());
}
