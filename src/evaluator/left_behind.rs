//! The evaluators of a batch that was killed together with its hosts, as `pkill -9 mutation-agent` does: nobody is left
//! who would end them, so the next start does.

use super::processes::{marked, signal_each};
use super::protocol::MARK;
use super::wait::wait;
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long the kernel may take to end them.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often we look whether it has.
const LOOK: Duration = Duration::from_millis(5);

/// Kills whatever the evaluators of a batch have left running; how many processes that were. The batch is not under way.
pub fn end_left_behind(batch_id: &str) -> usize {
    let beginning = format!("{MARK}={batch_id}.");
    let until = Instant::now() + PATIENCE;
    let mut found = BTreeSet::new();
    loop {
        let left = marked(&beginning);
        found.extend(left.iter().map(|one| one.pid));
        if left.is_empty() || Instant::now() >= until {
            return found.len();
        }
        signal_each(&left, Signal::KILL);
        wait(&mut [], Some(Instant::now() + LOOK));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, Command};

    /// A process that bears a mark; it is gone with the test, however that ends.
    struct Sleeping(Child);

    impl Sleeping {
        fn start(mark: &str) -> Self {
            let child = Command::new("sleep").arg("1000").env(MARK, mark).spawn().unwrap();
            let until = Instant::now() + PATIENCE;
            // The kernel lets go of who starts it a moment before its environment can be read.
            while marked(&format!("{MARK}={mark}")).is_empty() && Instant::now() < until {
                wait(&mut [], Some(Instant::now() + LOOK));
            }
            Self(child)
        }
    }

    impl Drop for Sleeping {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn what_a_batch_left_running_is_ended_and_what_another_one_runs_is_not() {
        let mut left = Sleeping::start("20261123T020000Z-7f3a9c.41");
        let mut other = Sleeping::start("20261123T020000Z-7f3a9d.41");
        assert_eq!(end_left_behind("20261123T020000Z-7f3a9c"), 1);
        assert_eq!(left.0.wait().unwrap().signal(), Some(9));
        assert_eq!(other.0.try_wait().unwrap(), None);
        assert_eq!(end_left_behind("20261123T020000Z-7f3a9c"), 0);
    }
}
