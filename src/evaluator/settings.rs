//! How candidates are judged, as the configuration says it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What in a word of the command stands for the candidate's path.
pub const PLACEHOLDER: &str = "{candidate}";

/// How an evaluator is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Program and arguments; no shell reads them. A program with a slash is relative to `folder`, one without is
    /// looked up in `PATH`.
    pub command: Vec<String>,
    /// Whether it is started for each candidate.
    pub mode: Mode,
    /// How long one evaluation may take.
    pub timeout: Duration,
    /// Processes of the evaluator, 1 at the least.
    pub workers: usize,
    /// Requests that each worker may have unanswered, 1 at the least; more in a stream alone.
    pub in_flight: usize,
    /// Bytes of address space that each of its processes may have.
    pub memory: Option<u64>,
    /// Processor time of an evaluation, by process; the kernel counts whole seconds, so it is rounded up.
    pub cpu: Option<Duration>,
    /// Its working directory.
    pub folder: PathBuf,
}

/// Whether an evaluator is started for each candidate, or once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Started for each candidate, whose path stands in its arguments; the last line of its output is the fitness.
    Process,
    /// Started once and fed with a line of JSON per candidate.
    Stream,
}

/// Settings that no evaluator can be run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluatorError {
    /// No program.
    #[error(
        "the command names no program; its first word is one, as in [\"python3\", \"backtest.py\", \"{{candidate}}\"]"
    )]
    Empty,
    /// A word that no program can be given.
    #[error("the command's word {0} holds a NUL byte")]
    Nul(usize),
    /// Nothing would tell the evaluator what to judge.
    #[error("no word of the command holds `{{candidate}}`, where the candidate's path is put in")]
    NoCandidate,
    /// There is no one candidate when a stream worker is started.
    #[error(
        "`{{candidate}}` stands in the command, but in stream mode candidates come as lines on standard input; \
         leave it out, or say mode = \"process\""
    )]
    Candidate,
    /// A process judges one candidate.
    #[error("`in_flight` above 1 needs mode = \"stream\"; a process judges one candidate")]
    InFlight,
    /// Nothing would ever be judged.
    #[error("{0} is zero")]
    Zero(&'static str),
}

impl Settings {
    /// Evaluations at once.
    pub(super) const fn at_once(&self) -> usize {
        self.workers.saturating_mul(self.in_flight)
    }

    /// Whether an evaluator can be run so, as far as that can be said without running it.
    pub fn check(&self) -> Result<(), EvaluatorError> {
        check_command(&self.command, self.mode)?;
        for (name, zero) in [
            ("workers", self.workers == 0),
            ("in_flight", self.in_flight == 0),
            ("timeout", self.timeout.is_zero()),
            ("memory", self.memory == Some(0)),
            ("cpu", self.cpu.is_some_and(|cpu| cpu.is_zero())),
        ] {
            if zero {
                return Err(EvaluatorError::Zero(name));
            }
        }
        if self.mode == Mode::Process && self.in_flight > 1 {
            return Err(EvaluatorError::InFlight);
        }
        Ok(())
    }
}

/// Whether words can be a command at all.
pub fn check_words(command: &[String]) -> Result<(), EvaluatorError> {
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(EvaluatorError::Empty);
    }
    match command.iter().position(|word| word.contains('\0')) {
        Some(word) => Err(EvaluatorError::Nul(word + 1)),
        None => Ok(()),
    }
}

/// Whether a command can be one in this mode.
pub fn check_command(command: &[String], mode: Mode) -> Result<(), EvaluatorError> {
    check_words(command)?;
    let placed = command.iter().any(|word| word.contains(PLACEHOLDER));
    match mode {
        Mode::Process if !placed => Err(EvaluatorError::NoCandidate),
        Mode::Stream if placed => Err(EvaluatorError::Candidate),
        Mode::Process | Mode::Stream => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(command: &[&str], mode: Mode) -> Result<(), EvaluatorError> {
        let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
        check_command(&command, mode)
    }

    #[test]
    fn a_candidate_stands_in_the_command_of_a_process_and_in_no_stream() {
        assert_eq!(check(&["./judge", "--file={candidate}"], Mode::Process), Ok(()));
        assert_eq!(check(&["./judge", "--stream"], Mode::Stream), Ok(()));
        let missing = check(&["./judge", "candidate"], Mode::Process).unwrap_err();
        assert!(missing.to_string().contains("`{candidate}`"), "{missing}");
        let there = check(&["./judge", "{candidate}"], Mode::Stream).unwrap_err();
        assert!(there.to_string().contains("`{candidate}`"), "{there}");
    }

    #[test]
    fn a_command_has_a_program_and_no_nul() {
        assert_eq!(check(&[], Mode::Stream), Err(EvaluatorError::Empty));
        assert_eq!(check(&["", "{candidate}"], Mode::Process), Err(EvaluatorError::Empty));
        assert_eq!(check(&["a", "{candidate}", "b\0"], Mode::Process), Err(EvaluatorError::Nul(3)));
    }

    #[test]
    fn nothing_that_is_needed_is_zero() {
        let good = Settings {
            command: vec!["judge".to_owned()],
            mode: Mode::Stream,
            timeout: Duration::from_secs(1),
            workers: 1,
            in_flight: 2,
            memory: None,
            cpu: None,
            folder: PathBuf::new(),
        };
        assert_eq!(good.check(), Ok(()));
        let process = Settings {
            mode: Mode::Process,
            command: vec!["judge {candidate}".to_owned()],
            ..good.clone()
        };
        assert_eq!(Settings { in_flight: 1, ..process.clone() }.check(), Ok(()));
        assert_eq!(process.check(), Err(EvaluatorError::InFlight));
        let bad = [
            ("workers", Settings { workers: 0, ..good.clone() }),
            ("in_flight", Settings { in_flight: 0, ..good.clone() }),
            ("timeout", Settings { timeout: Duration::ZERO, ..good.clone() }),
            ("memory", Settings { memory: Some(0), ..good.clone() }),
            ("cpu", Settings { cpu: Some(Duration::ZERO), ..good.clone() }),
        ];
        for (name, settings) in bad {
            assert_eq!(settings.check(), Err(EvaluatorError::Zero(name)));
        }
    }
}
