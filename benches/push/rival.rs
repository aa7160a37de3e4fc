//! Another program that pushes, told when it is its turn.

use mutation_agent::gateway::Gateway;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Started once as `COMMAND BASE_URL JOB INSTANCE FOLDER`; the folder has `body.protobuf` and `body.text`.
///
/// For each line with a number on its input it makes so many pushes, one after the other on a connection that it
/// keeps, and answers with one line: the time of each in nanoseconds, as a JSON array. It ends with its input.
pub(crate) struct Rival {
    child: Child,
    turns: Option<ChildStdin>,
    times: BufReader<ChildStdout>,
}

impl Rival {
    pub(crate) fn start(command: &str, gateway: &Gateway, folder: &Path) -> Self {
        let grouping = gateway.grouping();
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {command} \"$@\""), command])
            .args([
                gateway.url().as_str().trim_end_matches('/'),
                grouping.job(),
                &grouping.labels()[0].1,
            ])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let times = BufReader::new(child.stdout.take().unwrap());
        Self { turns: child.stdin.take(), child, times }
    }

    pub(crate) fn push(&mut self, count: usize) -> Vec<u64> {
        let mut line = String::new();
        writeln!(self.turns.as_mut().unwrap(), "{count}").unwrap();
        self.times.read_line(&mut line).unwrap();
        let times: Vec<u64> = serde_json::from_str(&line).unwrap();
        assert_eq!(times.len(), count, "a rival makes as many pushes as it is told");
        times
    }
}

impl Drop for Rival {
    fn drop(&mut self) {
        drop(self.turns.take());
        let _ = self.child.wait();
    }
}
