//! What is kept of an evaluator's output: however much it writes, little.

use super::super::pipes;

/// The longest line that is read.
pub(super) const LINE_LIMIT: usize = 64 * 1024;

/// How much of the end of standard error is kept.
const TAIL_LIMIT: usize = 4 * 1024;

/// Where an evaluator's standard output goes.
#[derive(Debug)]
pub(super) enum Output {
    /// Of a process: its last line counts.
    Last(LastLine),
    /// Of a stream: every line counts.
    Lines(Lines),
}

impl Output {
    /// Takes in what was read.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        match self {
            Self::Last(last) => last.take(chunk),
            Self::Lines(lines) => lines.lines.extend(chunk),
        }
    }

    /// Whether more should not be read yet.
    pub(super) const fn is_full(&self) -> bool {
        match self {
            Self::Last(_) => false,
            Self::Lines(lines) => lines.lines.len() > LINE_LIMIT,
        }
    }
}

/// The last line that is not blank.
#[derive(Debug, Default)]
pub(super) struct LastLine {
    /// Whole, and not blank.
    last: Line,
    /// Not ended yet.
    open: Line,
}

/// A line, or as much of it as is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    bytes: Vec<u8>,
    cut: bool,
}

impl Line {
    fn extend(&mut self, more: &[u8]) {
        let room = LINE_LIMIT - self.bytes.len();
        self.cut |= more.len() > room;
        self.bytes.extend_from_slice(&more[..more.len().min(room)]);
    }

    fn is_blank(&self) -> bool {
        self.bytes.trim_ascii().is_empty()
    }

    /// The line, if it was kept whole.
    pub(super) fn whole(&self) -> Option<&[u8]> {
        (!self.cut).then(|| self.bytes.trim_ascii())
    }

    /// As much of it as was kept.
    pub(super) fn kept(&self) -> &[u8] {
        self.bytes.trim_ascii()
    }
}

impl LastLine {
    fn take(&mut self, chunk: &[u8]) {
        let Some(end) = chunk.iter().rposition(|byte| *byte == b'\n') else {
            self.open.extend(chunk);
            return;
        };
        let (ended, rest) = (&chunk[..end], &chunk[end + 1..]);
        // From behind: of a gigabyte, hardly more than the last line of each piece is looked at.
        let mut lines = ended.rsplit(|byte| *byte == b'\n').peekable();
        let mut found = None;
        while let Some(line) = lines.next() {
            let first = lines.peek().is_none();
            if first {
                self.open.extend(line);
            } else if !line.trim_ascii().is_empty() {
                found = Some(line);
                break;
            }
        }
        if let Some(line) = found {
            self.last = Line::default();
            self.last.extend(line);
        } else if !self.open.is_blank() {
            self.last = std::mem::take(&mut self.open);
        }
        self.open = Line::default();
        self.open.extend(rest);
    }

    /// The last line that is not blank, with or without an end of line; blank where there is none.
    pub(super) fn get(&self) -> &Line {
        if self.open.is_blank() { &self.last } else { &self.open }
    }
}

/// Lines in their order.
#[derive(Debug, Default)]
pub(super) struct Lines {
    lines: pipes::Lines,
}

/// A line that never ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooLong;

impl Lines {
    /// The next line that is not blank, if it has come in whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        while let Some(line) = self.lines.next() {
            if line.len() > LINE_LIMIT {
                return Err(TooLong);
            }
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
        if self.lines.len() > LINE_LIMIT { Err(TooLong) } else { Ok(None) }
    }
}

/// The end of standard error.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Takes in what was read.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(TAIL_LIMIT)..];
        self.bytes.extend_from_slice(chunk);
        let surplus = self.bytes.len().saturating_sub(TAIL_LIMIT);
        self.bytes.drain(..surplus);
    }

    /// What was kept.
    pub(super) fn get(&self) -> &[u8] {
        self.bytes.trim_ascii()
    }

    /// Forgets what was said so far.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_last_line_does_not_depend_on_how_it_is_cut_up(
            text in "[ab \n]{0,40}", cuts in proptest::collection::vec(0_usize..40, 0..6),
        ) {
            let mut last = LastLine::default();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let mut from = 0;
            for cut in cuts.into_iter().chain([text.len()]) {
                last.take(&text.as_bytes()[from..cut]);
                from = cut;
            }
            let expected = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("");
            prop_assert_eq!(last.get().kept(), expected.trim().as_bytes());
        }
    }

    #[test]
    fn a_line_without_end_takes_no_more_than_its_limit() {
        let mut last = LastLine::default();
        (0..1000).for_each(|_| last.take(&[b'x'; 1024]));
        assert_eq!(last.get().kept().len(), LINE_LIMIT);
        assert_eq!(last.get().whole(), None);
        last.take(b"\n0.5\n");
        assert_eq!(last.get().whole(), Some(&b"0.5"[..]));
    }

    #[test]
    fn a_stream_stops_reading_at_a_line_without_end() {
        let mut output = Output::Lines(Lines::default());
        output.take(b" \n{}\n");
        let Output::Lines(lines) = &mut output else { unreachable!() };
        assert_eq!(lines.next(), Ok(Some(b"{}\n".to_vec())));
        assert_eq!(lines.next(), Ok(None));
        output.take(&vec![b'x'; LINE_LIMIT + 1]);
        assert!(output.is_full());
        let Output::Lines(lines) = &mut output else { unreachable!() };
        assert_eq!(lines.next(), Err(TooLong));
    }

    #[test]
    fn of_errors_the_end_is_kept() {
        let mut tail = Tail::default();
        (0..9).for_each(|digit| tail.take(&[b'0' + digit; 1000]));
        assert_eq!(tail.get().len(), TAIL_LIMIT);
        assert!(tail.get().ends_with(b"888"));
        assert!(tail.get().starts_with(b"4"));
    }
}
