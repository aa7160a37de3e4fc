//! How log lines look: for people, for machines, for systemd's journal.

use crate::batch::StderrBesideBar;
use rustix::fs::fstat;
use std::ffi::OsStr;
use std::fmt;
use std::io::{self, IsTerminal as _};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Text with times.
    Text {
        /// With escape codes.
        colour: bool,
    },
    /// One JSON object per line.
    Json,
    /// Text without times, each line with its priority; the journal has its own times.
    Journal,
}

impl Look {
    /// What suits standard error; `$JOURNAL_STREAM` and `$NO_COLOR` come in.
    pub fn of_stderr(journal_stream: Option<&OsStr>, no_colour: bool) -> Self {
        if is_journal(journal_stream) { Self::Journal } else { Self::text(no_colour) }
    }

    /// Text, in colour on a terminal.
    pub fn text(no_colour: bool) -> Self {
        Self::Text { colour: io::stderr().is_terminal() && !no_colour }
    }

    /// Sends log lines to standard error from now on: ours from `level` on, those of others from `other`.
    pub fn start(self, level: LevelFilter, other: LevelFilter) {
        let filter = Targets::new().with_target("mutation_agent", level).with_default(other);
        let registry = tracing_subscriber::registry().with(filter);
        let layer =
            tracing_subscriber::fmt::layer().with_target(false).with_writer(|| StderrBesideBar);
        match self {
            Self::Json => registry.with(layer.json().flatten_event(true)).init(),
            Self::Text { colour } => registry.with(layer.with_ansi(colour)).init(),
            Self::Journal => {
                registry.with(layer.with_ansi(false).event_format(Prioritized::new())).init();
            }
        }
    }
}

/// Whether standard error leads to the journal. `$JOURNAL_STREAM` alone says that something of ours once did: it is
/// inherited, also by what writes into a file or a pipe. So it names device and inode, to be compared (systemd.exec(5)).
fn is_journal(stream: Option<&OsStr>) -> bool {
    let Ok(stat) = fstat(io::stderr()) else { return false };
    stream.and_then(OsStr::to_str).is_some_and(|stream| {
        let named = stream.split_once(':');
        named.is_some_and(|(device, inode)| {
            device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
        })
    })
}

/// Lines that begin with their priority, as sd-daemon(3) has it: the journal takes it off and keeps it.
struct Prioritized {
    rest: Format<Full, ()>,
}

impl Prioritized {
    fn new() -> Self {
        Self { rest: Format::default().without_time().with_target(false).with_level(false) }
    }
}

impl<S, N> FormatEvent<S, N> for Prioritized
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut text = String::new();
        self.rest.format_event(context, Writer::new(&mut text), event)?;
        prioritize(*event.metadata().level(), &text, &mut writer)
    }
}

/// The journal makes an entry of each line, so each has the prefix.
fn prioritize(level: Level, text: &str, writer: &mut impl fmt::Write) -> fmt::Result {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(str::trim_end).try_for_each(|line| writeln!(writer, "<{}>{line}", priority(level)))
}

/// As syslog numbers them: 3 error, 4 warning, 6 informational, 7 debug.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_priority() {
        let mut out = String::new();
        prioritize(Level::ERROR, "agent.toml:3:1\n\n  | keyy = 1\r\n", &mut out).unwrap();
        prioritize(Level::WARN, "late", &mut out).unwrap();
        prioritize(Level::INFO, "sealed\n", &mut out).unwrap();
        prioritize(Level::TRACE, "\n", &mut out).unwrap();
        assert_eq!(out, "<3>agent.toml:3:1\n<3>  | keyy = 1\n<4>late\n<6>sealed\n");
    }

    #[test]
    fn a_stream_that_is_not_standard_error_is_not_the_journal() {
        let stat = fstat(io::stderr()).unwrap();
        let own = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_journal(Some(own.as_ref())));
        let other = format!("{}:{}", stat.st_dev, stat.st_ino ^ 1);
        for stream in ["", ":", "1", "8:12345", "a:b", &other, &format!("{own}:")] {
            assert!(!is_journal(Some(stream.as_ref())), "{stream}");
        }
        assert!(!is_journal(None));
    }
}
