//! What an evaluator's processes may use.

use std::io;
use std::time::Duration;

use super::super::processes::cpu_time;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit, setrlimit};

/// Room that the host itself needs to start a process.
const OWN_ROOM: u64 = 16 << 20;

/// The limits of each evaluation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of address space, by process.
    pub(super) memory: Option<u64>,
    /// Processor time, by process.
    pub(super) cpu: Option<Duration>,
}

impl Limits {
    /// Starts a process with its limit on memory already upon it.
    ///
    /// Limits are inherited, and without `unsafe` nothing of ours runs between fork and exec. So the host takes the
    /// limit upon itself for that moment; where it has no room for that, the process gets it as soon as it runs.
    pub(super) fn start<T>(self, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let own = getrlimit(Resource::As);
        let lowered = self
            .memory
            .filter(|memory| address_space() + OWN_ROOM < *memory)
            .is_some_and(|memory| {
                let soft =
                    Rlimit { current: lower(Some(memory), own.current), maximum: own.maximum };
                setrlimit(Resource::As, soft).is_ok()
            });
        let started = start();
        if lowered {
            let _ = setrlimit(Resource::As, own);
        }
        started
    }

    /// Puts all limits upon a process that was started.
    pub(super) fn put_upon(self, pid: Pid) {
        // One that has ended needs none.
        if let Some(memory) = self.memory {
            let hard = lower(Some(memory), getrlimit(Resource::As).maximum);
            let _ = prlimit(Some(pid), Resource::As, Rlimit { current: hard, maximum: hard });
        }
        self.allow_cpu(pid);
    }

    /// Gives a process its whole processor time from now on. At its end it gets SIGXCPU each second.
    pub(super) fn allow_cpu(self, pid: Pid) {
        let Some(cpu) = self.cpu else { return };
        let used = cpu_time(pid.as_raw_nonzero().get()).unwrap_or_default();
        let seconds = whole_seconds(used.saturating_add(cpu));
        let hard = getrlimit(Resource::Cpu).maximum;
        let limit = Rlimit { current: lower(Some(seconds), hard), maximum: hard };
        let _ = prlimit(Some(pid), Resource::Cpu, limit);
    }
}

/// No core files, ours or theirs: candidates by the thousand would fill a disk.
pub(super) fn without_core_files() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
}

/// The kernel counts whole seconds, and 0 is none at all.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

/// The lower of two limits, `None` being none.
fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// Our own, in bytes; endless where it cannot be told.
fn address_space() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').next().and_then(|pages| pages.parse::<u64>().ok());
    pages.map_or(u64::MAX / 2, |pages| pages.saturating_mul(rustix::param::page_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_and_never_none() {
        for (time, seconds) in [("0s", 1), ("1ms", 1), ("1s", 1), ("1s 1ns", 2), ("2500ms", 3)] {
            assert_eq!(whole_seconds(humantime::parse_duration(time).unwrap()), seconds, "{time}");
        }
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }

    #[test]
    fn an_inherited_limit_is_never_raised() {
        assert_eq!(lower(Some(5), None), Some(5));
        assert_eq!(lower(Some(5), Some(3)), Some(3));
        assert!((1 << 20..1 << 50).contains(&address_space()));
    }
}
