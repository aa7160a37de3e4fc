//! What is new in a log, record by record, also while more is written.

use super::log::Lines;
use super::survey::Beginning;
use super::{LeftOut, LocalTime, LogError, OldLog, OldRecord, Survey, pieces};
use crate::metrics::{KnownLog, Position};
use crate::units::Timestamp;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, VecDeque};

/// Hands over the records of a log that are new.
pub struct Taking {
    lines: Lines,
    clock: LocalTime,
    /// What is known of it when what the survey found is taken.
    surveyed: KnownLog,
    from: Position,
    /// The last line that is wanted; `None` goes on with all that is written.
    last: Option<u64>,
    beginning: Beginning,
    /// Of the last line that was read.
    waiting: VecDeque<Taken>,
    read: u64,
    /// Up to where that is.
    place: Position,
    /// There was a record in it.
    has_head: bool,
    left_out: BTreeMap<LeftOut, u64>,
}

/// A new record.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The line it stands in, from 1.
    pub line: u64,
    /// When it was logged.
    pub timestamp: Timestamp,
    /// What it says.
    pub record: OldRecord,
}

impl Taking {
    /// Takes what `survey` found new in a log that was written in `zone`, and with `on` what is written after it.
    /// `None` where no line has a record.
    pub fn start(
        log: &OldLog,
        survey: &Survey,
        zone: TimeZone,
        on: bool,
    ) -> Result<Option<Self>, LogError> {
        let Some(known) = &survey.known else { return Ok(None) };
        Ok(Some(Self {
            lines: log.lines()?,
            clock: LocalTime::new(zone),
            surveyed: known.clone(),
            from: survey.from,
            last: (!on).then_some(survey.last_line),
            beginning: Beginning::default(),
            waiting: VecDeque::new(),
            read: 0,
            place: Position::default(),
            has_head: false,
            left_out: BTreeMap::new(),
        }))
    }

    /// The next new record; `None` where there is none so far.
    pub fn next_record(&mut self) -> Result<Option<Taken>, LogError> {
        loop {
            if let Some(taken) = self.waiting.pop_front() {
                return Ok(Some(taken));
            }
            if self.last.is_some_and(|last| self.read >= last) {
                return Ok(None);
            }
            let (line, is_whole) = match self.lines.next()? {
                Some((_, line)) => (line, true),
                // Without a newline, and yet wanted.
                None if self.last == Some(self.read + 1) => (self.lines.rest(), false),
                None => return Ok(None),
            };
            self.read += 1;
            self.beginning.add(line);
            if self.beginning.bytes == self.surveyed.bytes
                && self.beginning.digest() != self.surveyed.sha256
            {
                return Err(LogError::Changed(self.lines.path().to_owned()));
            }
            let (mut index, line) = (0, pieces(line));
            for piece in line {
                match piece {
                    Ok(record) => {
                        self.has_head = true;
                        let timestamp = self.clock.moment(record.when);
                        if !self.from.is_behind(self.read, index) {
                            self.waiting.push_back(Taken { line: self.read, timestamp, record });
                        }
                        index += 1;
                    }
                    Err(why) if self.read > self.from.lines => {
                        *self.left_out.entry(why).or_default() += 1;
                    }
                    Err(_) => {}
                }
            }
            let whole = Position { lines: self.read, records: 0 };
            let half = Position { lines: self.read - 1, records: index };
            self.place = if is_whole { whole } else { half };
        }
    }

    /// Bytes that were read, those of an unfinished line among them.
    pub fn bytes(&self) -> u64 {
        self.beginning.bytes + self.lines.rest().len() as u64
    }

    /// New pieces that are no record, so far.
    pub const fn left_out(&self) -> &BTreeMap<LeftOut, u64> {
        &self.left_out
    }

    /// What is known of the log when all that was read is taken; `None` where something read is not, yet, or where
    /// that is no more than was known.
    pub fn known(&self) -> Option<KnownLog> {
        (self.waiting.is_empty() && self.has_head && self.place >= self.from)
            .then(|| self.beginning.known(self.surveyed.head.clone(), self.place))
    }
}
