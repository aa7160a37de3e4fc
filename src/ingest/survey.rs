//! What of a log is on record, and what is new: found out before anything is written.

use super::line::end_of_first_record;
use super::log::Lines;
use super::{LeftOut, LogError, OldLog, pieces};
use crate::metrics::{KnownLog, KnownLogs, Position};
use crate::units::{Digest, Hasher};
use std::collections::{BTreeMap, BTreeSet};

/// A log, looked at from its first line to its last.
#[derive(Debug, Default)]
pub struct Survey {
    /// Whether it can be gone on with.
    pub standing: Standing,
    /// What will be known of it when all that is new is taken; `None` where no line has a record.
    pub known: Option<KnownLog>,
    /// Up to where it is on record now.
    pub on_record: Position,
    /// Up to where it is on record when the logs before it are.
    pub from: Position,
    /// Records that are new.
    pub records: u64,
    /// New pieces that are no record.
    pub left_out: BTreeMap<LeftOut, Seen>,
    /// New records of parameters that are not configured.
    pub unknown: BTreeMap<String, Seen>,
    /// The last line that can be taken, from 1.
    pub last_line: u64,
    /// Bytes of a last line that is not finished; it is left for another time.
    pub unfinished: u64,
    /// Bytes that were looked at.
    pub bytes: u64,
}

/// How a log stands to those that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// Unknown, or known and maybe longer by now.
    #[default]
    Fits,
    /// It begins as one that is known, of which more was there.
    Shorter,
    /// It begins as one that is known, and goes on otherwise.
    Differs,
}

/// How often something was seen, and where first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// The first line, from 1.
    pub line: u64,
}

impl Seen {
    fn count<K: Ord>(map: &mut BTreeMap<K, Self>, key: K, line: u64) {
        map.entry(key).or_insert(Self { count: 0, line }).count += 1;
    }
}

/// Looks at logs, in this order, of which `known` are on record. What one of them holds is not new in the next.
///
/// With `finished` the last line counts without a newline too, if it is whole.
pub fn survey<'a>(
    logs: impl IntoIterator<Item = &'a OldLog>,
    known: &KnownLogs,
    parameters: &BTreeSet<&str>,
    finished: bool,
) -> Result<Vec<Survey>, LogError> {
    let (mut surveys, mut will_be_known) = (Vec::new(), known.clone());
    for log in logs {
        let (standing, from) = compare(log, &will_be_known)?;
        let (_, on_record) =
            if surveys.is_empty() { (standing, from) } else { compare(log, known)? };
        let survey = Survey { standing, on_record, from, ..Survey::default() };
        let survey = survey.look_through(log, parameters, finished)?;
        survey.known.iter().for_each(|log| will_be_known.add(log.clone()));
        surveys.push(survey);
    }
    Ok(surveys)
}

impl Survey {
    fn look_through(
        mut self,
        log: &OldLog,
        parameters: &BTreeSet<&str>,
        finished: bool,
    ) -> Result<Self, LogError> {
        if self.standing != Standing::Fits {
            self.bytes = log.length()?;
            return Ok(self);
        }
        let (mut lines, mut beginning, mut head) = (log.lines()?, Beginning::default(), None);
        while let Some((number, line)) = lines.next()? {
            self.look_at(number, line, parameters);
            head = head.or_else(|| beginning.head_with(line));
            beginning.add(line);
        }
        let mut taken = Position { lines: lines.number(), records: 0 };
        self.last_line = lines.number();
        let rest = lines.rest();
        if finished && is_whole(rest) {
            self.last_line += 1;
            self.look_at(self.last_line, rest, parameters);
            head = head.or_else(|| beginning.head_with(rest));
            beginning.add(rest);
            // Another process may go on in the same line.
            taken.records = pieces(rest).len() as u64;
        } else {
            self.unfinished = rest.len() as u64;
        }
        self.bytes = beginning.bytes + self.unfinished;
        self.known = head.map(|head| beginning.known(head, taken));
        Ok(self)
    }

    fn look_at(&mut self, number: u64, line: &[u8], parameters: &BTreeSet<&str>) {
        // A line of which all was taken need not be read for that.
        if number <= self.from.lines {
            return;
        }
        let mut index = 0;
        for piece in pieces(line) {
            match piece {
                Ok(_) if self.from.is_behind(number, index) => index += 1,
                Ok(record) => {
                    index += 1;
                    self.records += 1;
                    if !parameters.contains(record.parameter.as_str()) {
                        Seen::count(&mut self.unknown, record.parameter, number);
                    }
                }
                Err(why) => Seen::count(&mut self.left_out, why, number),
            }
        }
    }
}

fn is_whole(rest: &[u8]) -> bool {
    let pieces = pieces(rest);
    !pieces.is_empty() && pieces.iter().all(Result::is_ok)
}

/// How a log stands to the known ones, and up to where it is on record.
fn compare(log: &OldLog, known: &KnownLogs) -> Result<(Standing, Position), LogError> {
    let unknown = (Standing::Fits, Position::default());
    if known.is_empty() {
        return Ok(unknown);
    }
    let mut reading = Reading::start(log)?;
    let Some(head) = reading.head()? else { return Ok(unknown) };
    let (mut taken, mut differs, mut is_shorter) = (None, false, false);
    for candidate in known.with_head(&head) {
        if !reading.advance_to(candidate.bytes)? {
            is_shorter = true;
            break;
        }
        if reading.beginning.digest() == candidate.sha256 {
            taken = taken.max(Some(candidate.taken));
        } else {
            differs = true;
        }
    }
    Ok(match taken {
        Some(taken) => (Standing::Fits, taken),
        None if differs => (Standing::Differs, Position::default()),
        None if is_shorter => (Standing::Shorter, Position::default()),
        None => unknown,
    })
}

/// The beginning of a log, up to anywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    hasher: Hasher,
    pub(super) bytes: u64,
}

impl Beginning {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    pub(super) fn digest(&self) -> Digest {
        self.hasher.finish()
    }

    /// The log's head, if it is the next line that has the first record.
    fn head_with(&self, line: &[u8]) -> Option<Digest> {
        end_of_first_record(line).map(|end| {
            let mut head = self.hasher.clone();
            head.update(&line[..end]);
            head.finish()
        })
    }

    /// A log with this head and beginning, taken up to there.
    pub(super) fn known(&self, head: Digest, taken: Position) -> KnownLog {
        KnownLog { head, bytes: self.bytes, sha256: self.digest(), taken }
    }
}

/// Reads up to a byte, be it in the middle of a line.
struct Reading {
    lines: Lines,
    /// What was read and is not in `beginning` yet.
    ahead: Vec<u8>,
    is_over: bool,
    beginning: Beginning,
}

impl Reading {
    fn start(log: &OldLog) -> Result<Self, LogError> {
        let beginning = Beginning::default();
        Ok(Self { lines: log.lines()?, ahead: Vec::new(), is_over: false, beginning })
    }

    /// Reads the next line ahead, or what stands behind the last; false where there is nothing.
    fn read_on(&mut self) -> Result<bool, LogError> {
        if self.is_over {
            return Ok(false);
        }
        if let Some((_, line)) = self.lines.next()? {
            self.ahead.extend_from_slice(line);
        } else {
            self.is_over = true;
            self.ahead.extend_from_slice(self.lines.rest());
        }
        Ok(!self.ahead.is_empty())
    }

    /// Reads up to the first line with a record, which then is ahead.
    fn head(&mut self) -> Result<Option<Digest>, LogError> {
        while self.read_on()? {
            if let Some(head) = self.beginning.head_with(&self.ahead) {
                return Ok(Some(head));
            }
            self.beginning.add(&self.ahead);
            self.ahead.clear();
        }
        Ok(None)
    }

    /// Makes the beginning `bytes` long; false where there is not so much.
    fn advance_to(&mut self, bytes: u64) -> Result<bool, LogError> {
        while self.beginning.bytes < bytes {
            if self.ahead.is_empty() && !self.read_on()? {
                return Ok(false);
            }
            let missing = usize::try_from(bytes - self.beginning.bytes).unwrap_or(usize::MAX);
            let length = missing.min(self.ahead.len());
            self.beginning.add(&self.ahead[..length]);
            self.ahead.drain(..length);
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::{self, Mode};
    use crate::ingest::Taking;
    use jiff::tz::TimeZone;
    use std::path::Path;

    fn line(number: u64) -> String {
        format!("{{\"timestamp\": {number}, \"parameter\": \"a\", \"success\": true}}\n")
    }

    fn lines(count: u64) -> String {
        (1..=count).map(line).collect()
    }

    fn log(folder: &Path, name: &str, text: &str) -> OldLog {
        disk::replace(&folder.join(name), text.as_bytes(), Mode::Private).unwrap();
        OldLog::open(&folder.join(name)).unwrap()
    }

    fn look(logs: &[OldLog], known: &KnownLogs) -> Vec<Survey> {
        survey(logs, known, &BTreeSet::from(["a"]), true).unwrap()
    }

    const fn at(lines: u64, records: u64) -> Position {
        Position { lines, records }
    }

    #[test]
    fn what_an_earlier_log_is_to_give_is_not_on_record_yet() {
        let folder = tempfile::tempdir().unwrap();
        let logs = [
            log(folder.path(), "short", &lines(20)),
            log(folder.path(), "long", &format!("{}oops\n", lines(30))),
        ];
        let surveys = look(&logs, &KnownLogs::default());
        let found = surveys.iter().map(|one| (one.on_record, one.from, one.records));
        assert_eq!(
            found.collect::<Vec<_>>(),
            [(at(0, 0), at(0, 0), 20), (at(0, 0), at(20, 0), 10)]
        );
        assert_eq!(surveys[1].left_out[&LeftOut::NotJson], Seen { count: 1, line: 31 });
    }

    #[test]
    fn every_beginning_of_a_log_is_told_from_another_log() {
        let folder = tempfile::tempdir().unwrap();
        let text = lines(6);
        let mut known = KnownLogs::default();
        known.add(look(&[log(folder.path(), "a", &lines(4))], &known)[0].known.clone().unwrap());
        let first = line(1).len() - 1;
        for length in 0..text.len() {
            let found = &look(&[log(folder.path(), "a", &text[..length])], &known)[0];
            let expected = match length {
                // Not even a record.
                _ if length < first => (Standing::Fits, at(0, 0)),
                _ if length < lines(4).len() => (Standing::Shorter, at(0, 0)),
                _ => (Standing::Fits, at(4, 0)),
            };
            assert_eq!((found.standing, found.from), expected, "{length}");
        }
        let other = format!("{}{}", lines(2), line(7).repeat(9));
        let found = &look(&[log(folder.path(), "a", &other)], &known)[0];
        assert_eq!(found.standing, Standing::Differs);
    }

    #[test]
    fn nothing_is_said_of_a_log_before_its_first_record_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let logs = [log(folder.path(), "a", &format!("a title\n{}", lines(3)))];
        let surveys = look(&logs, &KnownLogs::default());
        let mut taking =
            Taking::start(&logs[0], &surveys[0], TimeZone::UTC, false).unwrap().unwrap();
        assert_eq!(taking.known(), None);
        for number in 2..=4 {
            assert_eq!(taking.next_record().unwrap().unwrap().line, number);
            assert_eq!(taking.known().unwrap().taken, at(number, 0));
        }
        assert!(taking.next_record().unwrap().is_none());
        assert_eq!(taking.known(), surveys[0].known);
    }

    #[test]
    fn a_log_that_is_written_anew_after_the_survey_is_not_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        let logs = [log(folder.path(), "a", &lines(3))];
        let surveys = look(&logs, &KnownLogs::default());
        let mut file =
            std::fs::OpenOptions::new().write(true).open(folder.path().join("a")).unwrap();
        std::io::Write::write_all(&mut file, lines(3).replace('1', "7").as_bytes()).unwrap();
        let mut taking =
            Taking::start(&logs[0], &surveys[0], TimeZone::UTC, false).unwrap().unwrap();
        let found = std::iter::from_fn(|| taking.next_record().transpose());
        let last = found.last().unwrap().unwrap_err();
        assert!(last.to_string().ends_with("a was written anew while it was read"), "{last}");
    }
}
