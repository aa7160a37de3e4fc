//! A progress bar for people; nothing at all for cron.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::io::{self, IsTerminal as _, Write};
use std::sync::OnceLock;
use std::time::Duration;

/// The bar now on the screen, so that log lines are written above it and not through it.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// How far a batch is.
#[derive(Clone, Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar over `attempts` on standard error if that is a terminal, else nothing.
    pub fn start(attempts: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar =
            ProgressBar::with_draw_target(Some(attempts), ProgressDrawTarget::stderr_with_hz(8));
        let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
            // Failing to write to a line in memory has no remedy and no consequence.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        if let Ok(style) = ProgressStyle::with_template(
            "{bar:32.cyan/blue} {human_pos}/{human_len} mutations  {rate}  {msg}  eta {eta}",
        ) {
            bar.set_style(style.with_key("rate", rate).progress_chars("━╸─"));
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        // A second batch in one process keeps the first bar for its log lines: there is no such.
        let _ = BAR.set(bar.clone());
        Self(bar)
    }

    /// None, for what has no end.
    pub(super) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    /// After some attempts.
    pub fn at(&self, attempts: u64, successes: u64) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_position(attempts);
        if attempts > 0 {
            let percent = successes as f64 / attempts as f64 * 100.0;
            self.0.set_message(format!("{percent:.1}% success"));
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

/// Standard error for log lines, with the bar out of the way while they are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct StderrBesideBar;

impl Write for StderrBesideBar {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match BAR.get() {
            Some(bar) => bar.suspend(|| io::stderr().write(line)),
            None => io::stderr().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
