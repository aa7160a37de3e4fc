//! The ids of one log: 1, 2, 3 without gap or repetition, and what it looks like where they are not.

use super::Fault;
use crate::units::MutationId;

/// A log that was shuffled has as many breaks as lines; more than a few say nothing new.
const SHOWN: usize = 5;

/// Follows the ids of a log, line by line. A break is judged by the id after it: a line that was changed, removed,
/// repeated or added goes on in different ways.
#[derive(Debug)]
pub(super) struct Sequence {
    expected: u64,
    /// An id that was not expected, not judged yet.
    odd: Option<Odd>,
    /// An id that came early, one place before the one it belongs behind.
    early: Option<u64>,
    /// The lines before were unreadable, and so were their ids, from this one on.
    blind: Option<u64>,
    faults: Vec<Fault>,
    more: u64,
}

#[derive(Clone, Copy, Debug)]
struct Odd {
    line: u64,
    found: u64,
}

impl Sequence {
    pub(super) const fn new() -> Self {
        Self { expected: 1, odd: None, early: None, blind: None, faults: Vec::new(), more: 0 }
    }

    /// The id that the next line should have.
    pub(super) const fn awaited(&self) -> MutationId {
        MutationId(self.expected)
    }

    /// The id of the next line.
    pub(super) fn next(&mut self, line: u64, id: MutationId) {
        let MutationId(found) = id;
        if let Some(odd) = self.odd.take() {
            self.judge(odd, Some(found));
        }
        // A broken newline makes two lines of one or one of two; a line that does not belong here may have been put in.
        if self.blind.take().is_some_and(|from| found >= from) {
            self.expected = found;
        }
        if found == self.expected {
            self.advance();
        } else {
            self.odd = Some(Odd { line, found });
        }
    }

    /// A line whose id cannot be read, or says nothing.
    pub(super) fn unreadable(&mut self) {
        if let Some(odd) = self.odd.take() {
            self.judge(odd, None);
        }
        self.blind.get_or_insert(self.expected);
        self.expected = self.expected.saturating_add(1);
    }

    /// The id that the last line should have, and what was odd before it.
    pub(super) fn end(mut self) -> (u64, Vec<Fault>) {
        if let Some(odd) = self.odd.take() {
            self.judge(odd, None);
        }
        if self.more > 0 {
            self.faults.push(Fault::MoreBreaks { count: self.more });
        }
        (self.expected.saturating_sub(1), self.faults)
    }

    const fn advance(&mut self) {
        self.expected = self.expected.saturating_add(1);
        if let Some(early) = self.early
            && early == self.expected
        {
            self.early = None;
            self.expected = self.expected.saturating_add(1);
        }
    }

    fn judge(&mut self, Odd { line, found }: Odd, next: Option<u64>) {
        let wanted = self.expected;
        let expected = MutationId(wanted);
        let id = MutationId(found);
        let fault = match next {
            Some(next) if next == wanted.saturating_add(1) => {
                self.expected = next;
                Fault::ChangedId { line, found: id, expected }
            }
            Some(next) if next == wanted && found == wanted.saturating_add(1) => {
                self.early = Some(found);
                Fault::Swapped { line }
            }
            Some(next) if next == wanted && found > wanted => {
                Fault::Added { line, found: id, expected }
            }
            Some(next) if next == wanted => Fault::Repeated { line, found: id, expected },
            _ if found > wanted => {
                self.expected = found.saturating_add(1);
                let (count, last) = (found - wanted, MutationId(found - 1));
                Fault::Removed { line, count, first: expected, last }
            }
            // The log's last line is there twice: nothing follows that could say so.
            None => Fault::Repeated { line, found: id, expected },
            Some(_) => {
                self.expected = found.saturating_add(1);
                Fault::Repeated { line, found: id, expected }
            }
        };
        if self.faults.len() < SHOWN {
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 is a line that cannot be read.
    fn follow(ids: &[u64]) -> (u64, Vec<String>) {
        let mut sequence = Sequence::new();
        for (line, id) in (1..).zip(ids) {
            match id {
                0 => sequence.unreadable(),
                id => sequence.next(line, MutationId(*id)),
            }
        }
        let (last, faults) = sequence.end();
        (last, faults.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_break_is_one_fault_and_the_rest_is_in_order() {
        for (ids, last, fault) in [
            (&[1, 2, 3, 4][..], 4, ""),
            (&[1, 3, 4], 4, "1 record is missing before line 2: exit_mut_000002 was removed"),
            (
                &[3, 4],
                4,
                "2 records are missing before line 1: exit_mut_000001 to exit_mut_000002 were removed",
            ),
            (
                &[1, 4],
                4,
                "2 records are missing before line 2: exit_mut_000002 to exit_mut_000003 were removed",
            ),
            (&[1, 7, 3, 4], 4, "line 2 has the id exit_mut_000007 where exit_mut_000002 belongs"),
            (&[9, 2, 3], 3, "line 1 has the id exit_mut_000009 where exit_mut_000001 belongs"),
            (&[1, 2, 2, 3], 3, "line 3 goes back to exit_mut_000002 where exit_mut_000003 belongs"),
            (&[1, 2, 3, 3], 3, "line 4 goes back to exit_mut_000003 where exit_mut_000004 belongs"),
            (
                &[1, 2, 1, 2, 3],
                3,
                "line 3 goes back to exit_mut_000001 where exit_mut_000003 belongs",
            ),
            (&[1, 2, 99, 3, 4], 4, "line 3 was added: it has the id exit_mut_000099"),
            (&[1, 3, 2, 4, 5], 5, "lines 2 and 3 stand in each other's place"),
            (&[1, 0, 3], 3, ""),
            (&[1, 0, 0, 3], 3, ""),
            (&[1, 0, 4], 4, ""),
            (&[0, 2], 2, ""),
        ] {
            let (end, faults) = follow(ids);
            assert_eq!(end, last, "{ids:?}: {faults:?}");
            assert_eq!(faults.len(), usize::from(!fault.is_empty()), "{ids:?}: {faults:?}");
            assert!(faults.iter().all(|found| found.starts_with(fault)), "{ids:?}: {faults:?}");
        }
    }

    #[test]
    fn two_breaks_are_two_faults() {
        let (last, faults) = follow(&[1, 3, 4, 4, 5]);
        assert_eq!((last, faults.len()), (5, 2), "{faults:?}");
    }

    #[test]
    fn a_shuffled_log_is_told_in_a_few_lines() {
        let ids: Vec<u64> = (1..1000).rev().collect();
        let (_, faults) = follow(&ids);
        assert_eq!(faults.len(), SHOWN + 1);
        assert!(faults[SHOWN].starts_with("and 9"), "{faults:?}");
    }
}
