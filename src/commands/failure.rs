//! A command that could not do what it was asked, and the exit code for it.

use crate::batch::{BatchError, IngestError};
use crate::config::ConfigError;
use crate::disk::DiskError;
use crate::exit::Exit;
use crate::ingest::{LogError, Refusal};
use crate::scheduler::SchedulerError;
use crate::state::{LockError, OpenError, RecoveryError, StateError};
use std::fmt;
use std::io;

/// Why, in words, and how the process ends.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    message: String,
    broken_pipe: bool,
}

impl Failure {
    /// With an exit code of the caller's choice.
    pub fn new(exit: Exit, error: &dyn std::error::Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let inner_text = inner.to_string();
            // A transparent error has said it already.
            if !message.contains(&inner_text) {
                message = format!("{message}: {inner_text}");
            }
            source = inner.source();
        }
        Self { exit, message, broken_pipe: false }
    }

    /// In words of the caller's own.
    pub fn said(exit: Exit, message: String) -> Self {
        Self { exit, message, broken_pipe: false }
    }

    /// How the process ends.
    pub const fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether standard output was closed by its reader.
    pub const fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<io::Error> for Failure {
    /// Of standard output; everything else has a type that names the file.
    fn from(error: io::Error) -> Self {
        let broken_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        Self { exit: Exit::Io, message: format!("cannot write the output: {error}"), broken_pipe }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Disk(error) => unread(&error),
            StateError::Newer { .. } => Self::new(Exit::Config, &error),
        }
    }
}

/// What is there and cannot be read.
pub(super) fn unread(error: &DiskError) -> Failure {
    Failure::new(if error.is_permission() { Exit::Permission } else { Exit::Io }, error)
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let denied = matches!(&error, ConfigError::Unreadable { os, .. }
            if os.kind() == io::ErrorKind::PermissionDenied);
        Self::new(if denied { Exit::Permission } else { Exit::Config }, &error)
    }
}

impl From<BatchError> for Failure {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Open(error) => error.into(),
            BatchError::Create(error) => Self::new(creating(&error), &error),
            BatchError::Stopped(signal) => Self::new(signal.exit(), &error),
            BatchError::Start(_) => Self::new(Exit::Internal, &error),
        }
    }
}

impl From<SchedulerError> for Failure {
    fn from(error: SchedulerError) -> Self {
        match error {
            SchedulerError::Config(error) => error.into(),
            SchedulerError::NoSchedule(_) | SchedulerError::Moved(_) => {
                Self::new(Exit::Config, &error)
            }
            SchedulerError::Open(error) => error.into(),
            SchedulerError::State(error) => error.into(),
            SchedulerError::Save(error) => Self::new(creating(&error), &error),
            SchedulerError::Start(_) => Self::new(Exit::Internal, &error),
        }
    }
}

impl From<IngestError> for Failure {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::Batch(error) => error.into(),
            IngestError::Refused(error) => error.into(),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(error: Refusal) -> Self {
        match error {
            Refusal::Log(error) => error.into(),
            Refusal::Unknown { .. } | Refusal::Differs(_) | Refusal::NoRecord { .. } => {
                Self::new(Exit::NoStrategy, &error)
            }
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        let exit = match &error {
            LogError::Disk(error) if error.is_permission() => Exit::Permission,
            LogError::Disk(_) | LogError::Changed(_) => Exit::Io,
            LogError::Damaged { .. } | LogError::TooLong { .. } => Exit::NoStrategy,
        };
        Self::new(exit, &error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::Disk(error) | OpenError::Lock(LockError::Disk(error)) => creating(error),
            OpenError::Exposed(_) => Exit::Permission,
            OpenError::Lock(LockError::Taken(_) | LockError::Scheduled(_)) => Exit::TryLater,
            OpenError::Recovery(error) => recovering(error),
        };
        Self::new(exit, &error)
    }
}

fn creating(error: &DiskError) -> Exit {
    if error.is_permission() { Exit::Permission } else { Exit::CannotCreate }
}

fn recovering(error: &RecoveryError) -> Exit {
    use crate::audit::{ManifestError, ReadError};
    use crate::state::StateError;
    match error {
        RecoveryError::State(StateError::Newer { .. })
        | RecoveryError::Manifest(ManifestError::Newer { .. }) => Exit::Config,
        RecoveryError::AtWork(_) => Exit::TryLater,
        RecoveryError::State(StateError::Disk(error))
        | RecoveryError::Manifest(ManifestError::Disk(error))
        | RecoveryError::Read(ReadError::Disk(error))
        | RecoveryError::Disk(error) => creating(error),
        RecoveryError::Manifest(ManifestError::Missing(_) | ManifestError::Syntax { .. })
        | RecoveryError::Mixed { .. }
        | RecoveryError::Read(ReadError::Line { .. } | ReadError::TooLong { .. }) => {
            Exit::CannotCreate
        }
    }
}
