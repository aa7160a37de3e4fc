//! How a process of ours ends: sysexits codes, one meaning each.

/// The exit codes of `mutation-agent`; see `sysexits(3)` for those from 64 to 78.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The job is done and every gateway has seen it.
    Done = 0,
    /// The batch ran and no mutation succeeded.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// No strategy has a target that can be mutated, or an audit file is none or is not as it was written.
    NoStrategy = 65,
    /// A mistake of ours.
    Internal = 70,
    /// State, audit or output cannot be created.
    CannotCreate = 73,
    /// Reading or writing failed during the batch; what was written stands.
    Io = 74,
    /// The batch stands but a gateway has not seen it or shows something else, or another one holds the lock: try again
    /// later.
    TryLater = 75,
    /// A file or folder may not be used by this user.
    Permission = 77,
    /// The configuration, or a state it leads to, cannot be used.
    Config = 78,
    /// Ended by SIGHUP; sealed and pushed.
    HungUp = 129,
    /// Ended by SIGINT; sealed and pushed.
    Interrupted = 130,
    /// Ended by SIGTERM; sealed and pushed.
    Terminated = 143,
}

impl Exit {
    const ALL: [Self; 13] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::NoStrategy,
        Self::Internal,
        Self::CannotCreate,
        Self::Io,
        Self::TryLater,
        Self::Permission,
        Self::Config,
        Self::HungUp,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// What another process of ours ended with; `None` where it is none of ours.
    pub fn from_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    /// The number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}
