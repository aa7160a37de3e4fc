//! A folder with a config and strategies, and the agent run in it.

use crate::gateway::Gateway;
use mutation_agent::audit::Folder;
use mutation_agent::units::BatchId;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;

/// Long enough for a loaded machine, short enough for a test that hangs.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// Waits for a condition; what takes longer than [`LONG`] never comes.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A folder in which the agent runs: `agent.toml`, `strategies/`, and what the agent makes of them.
pub(crate) struct Story {
    root: TempDir,
    /// By section and key; the section `""` is the top level.
    keys: BTreeMap<(&'static str, &'static str), String>,
    /// `[[gateway]]` and `[[parameter]]`, as typed.
    tables: Vec<String>,
}

impl Story {
    /// With the bundled strategies, a small batch, and no patience worth mentioning.
    pub(crate) fn new() -> Self {
        let mut story =
            Self { root: tempfile::tempdir().unwrap(), keys: BTreeMap::new(), tables: Vec::new() };
        for folder in ["work/strategies", "home", "tmp", "said"] {
            fs::create_dir_all(story.root.path().join(folder)).unwrap();
        }
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/strategies");
        for entry in fs::read_dir(examples).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, story.path("strategies").join(path.file_name().unwrap())).unwrap();
        }
        story.set("batch", "rounds", "3");
        story.set("batch", "mutations_per_round", "20");
        story.set("batch", "workers", "2");
        story.set("batch", "seed", "7");
        story.set("strategies", "include", "[\"strategies/*.py\"]");
        story.set("push", "attempt_timeout", "\"20s\"");
        story.set("push", "deadline", "\"40s\"");
        story.set("push", "retry", "{ initial = \"1ms\", max = \"5ms\" }");
        story
    }

    /// The only strategy; its name in records is `strategies/only.py`.
    pub(crate) fn of(text: &str) -> Self {
        let story = Self::new();
        fs::remove_dir_all(story.path("strategies")).unwrap();
        story.write("strategies/only.py", text);
        story
    }

    /// Millions of mutations: it is still running when a test has done what it wants to do.
    pub(crate) fn long() -> Self {
        let mut story = Self::new();
        story.set("batch", "rounds", "100000");
        story.set("batch", "mutations_per_round", "100");
        story
    }

    /// Sets a key of the config from the next command on.
    pub(crate) fn set(&mut self, section: &'static str, key: &'static str, value: &str) {
        self.keys.insert((section, key), value.to_owned());
    }

    /// Pushes to `gateway` in the text format, under the name `main`.
    pub(crate) fn push_to(&mut self, gateway: &Gateway) {
        self.push_to_url("main", &gateway.url());
    }

    /// Pushes in the text format to whatever is there.
    pub(crate) fn push_to_url(&mut self, name: &str, url: &str) {
        self.table(&format!(
            "[[gateway]]\nname = \"{name}\"\nurl = \"{url}\"\nformat = \"text\"\n\
             grouping = {{ instance = \"night-1\" }}"
        ));
    }

    /// Takes all `[[gateway]]` away.
    pub(crate) fn forget_gateways(&mut self) {
        self.tables.retain(|table| !table.starts_with("[[gateway]]"));
    }

    /// Adds a `[[parameter]]` or `[[gateway]]`.
    pub(crate) fn table(&mut self, text: &str) {
        self.tables.push(text.to_owned());
    }

    /// `agent.toml` as the story has it by now.
    pub(crate) fn config(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        let mut section = "";
        for ((of, key), value) in &self.keys {
            if *of != section {
                section = of;
                writeln!(text, "\n[{section}]").unwrap();
            }
            writeln!(text, "{key} = {value}").unwrap();
        }
        self.tables.iter().fold(text, |text, table| text + "\n" + table + "\n")
    }

    /// In the folder of `agent.toml`.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    /// Where the process puts temporary files.
    pub(crate) fn temp(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        self.write_bytes(name, text.as_bytes());
    }

    pub(crate) fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end()
    }

    /// Runs a command that must end so.
    pub(crate) fn expect(&self, code: i32, args: &[&str]) -> Ended {
        let ended = self.run(args);
        assert_eq!(ended.code, code, "{args:?} said:\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }

    /// Starts a command, with `agent.toml` as the story has it by now.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        let config = self.path("agent.toml");
        // Not touched without need: some stories compare the folder before and after.
        if fs::read_to_string(&config).ok().as_ref() != Some(&self.config()) {
            fs::write(&config, self.config()).unwrap();
        }
        self.start_as_it_is(args, &[])
    }

    /// Starts a command in the folder as it is, with these variables beside `PATH`, `HOME` and `TMPDIR`.
    pub(crate) fn start_as_it_is(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = agent();
        command.args(args);
        self.spawn(command, variables)
    }

    /// Starts a command with these signals ignored, as `nohup` and a script's background jobs are.
    pub(crate) fn start_ignoring(&self, signals: &str, args: &[&str]) -> Running {
        fs::write(self.path("agent.toml"), self.config()).unwrap();
        let script = format!("trap '' {signals} && exec \"$@\"");
        // A shell cannot listen again to what was ignored when the tests were started.
        let mut command = Command::new("env");
        command.args(["--default-signal=HUP,INT,TERM", "/bin/sh", "-c", &script, "sh"]);
        command.arg(env!("CARGO_BIN_EXE_mutation-agent")).args(args);
        self.spawn(command, &[])
    }

    /// Starts a command to which every file is full at so many blocks of half a kilobyte (or a whole one: shells
    /// differ). Writing on is an error to it and not the end of it.
    pub(crate) fn start_on_a_full_disk(&self, blocks: u32, args: &[&str]) -> Running {
        fs::write(self.path("agent.toml"), self.config()).unwrap();
        self.start_under(&format!("ulimit -f {blocks}"), args)
    }

    /// Starts a command in the folder as it is, with so many kibibytes of memory: asking for more is the end of it.
    pub(crate) fn start_with_memory(&self, kibibytes: u32, args: &[&str]) -> Running {
        self.start_under(&format!("ulimit -v {kibibytes}"), args)
    }

    fn start_under(&self, limits: &str, args: &[&str]) -> Running {
        let script = format!("{limits} && exec \"$@\"");
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_mutation-agent")]).args(args);
        self.spawn(command, &[])
    }

    /// Starts a command as systemd does: standard error leads to where `$JOURNAL_STREAM` says.
    pub(crate) fn start_under_the_journal(&self, args: &[&str]) -> Running {
        let script = r#"JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@""#;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_mutation-agent")]).args(args);
        self.spawn(command, &[])
    }

    fn spawn(&self, mut command: Command, variables: &[(&str, &str)]) -> Running {
        let said = tempfile::tempdir_in(self.root.path().join("said")).unwrap().keep();
        let file = |name: &str| fs::File::create(said.join(name)).unwrap();
        let child = command
            .current_dir(self.path(""))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("TMPDIR", self.temp())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .spawn()
            .unwrap();
        Running { child, said }
    }

    /// Every file and folder of the story: its mode, its time, and what stands in it.
    pub(crate) fn listing(&self) -> BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                let metadata = path.symlink_metadata().unwrap();
                let content = if metadata.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if metadata.is_symlink() {
                    fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
                } else if metadata.is_file() {
                    fs::read(&path).unwrap()
                } else {
                    // Reading a pipe would wait for a writer.
                    Vec::new()
                };
                let mode = metadata.permissions().mode();
                found.insert(path, (mode, metadata.modified().unwrap(), content));
            }
        }
        found
    }

    /// Where the audit is by default.
    pub(crate) fn audit(&self) -> Folder {
        Folder::new(self.path("mutation-data/audit"))
    }

    /// All batches, oldest first.
    pub(crate) fn batches(&self) -> Vec<BatchId> {
        self.audit().batches().unwrap().into_keys().collect()
    }

    /// The newest batch.
    pub(crate) fn newest(&self) -> BatchId {
        self.batches().pop().expect("a batch has run")
    }

    /// The whole lines of a batch's sealed log, packed or not.
    pub(crate) fn lines(&self, id: &BatchId) -> Vec<Value> {
        let (plain, packed) = (self.audit().sealed(id), self.audit().compressed(id));
        let text = if plain.exists() {
            fs::read(plain).unwrap()
        } else {
            zstd::decode_all(fs::File::open(packed).unwrap()).unwrap()
        };
        let text = String::from_utf8(text).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The lines of all batches.
    pub(crate) fn all_lines(&self) -> Vec<Value> {
        self.batches().iter().flat_map(|id| self.lines(id)).collect()
    }

    pub(crate) fn manifest(&self, id: &BatchId) -> Value {
        serde_json::from_slice(&fs::read(self.audit().manifest(id)).unwrap()).unwrap()
    }

    pub(crate) fn state(&self) -> Value {
        serde_json::from_str(&self.read("mutation-data/state.json")).unwrap()
    }

    /// The same where there may be none yet.
    pub(crate) fn state_or_null(&self) -> Value {
        let bytes = fs::read(self.path("mutation-data/state.json")).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// How many bytes the open journal has; 0 where there is none.
    fn journal_length(&self) -> u64 {
        let Ok(batches) = self.audit().batches() else { return 0 };
        let open = batches.iter().find(|(_, files)| files.open);
        let path = open.map(|(id, _)| self.audit().open_journal(id));
        path.and_then(|path| path.metadata().ok()).map_or(0, |metadata| metadata.len())
    }

    /// Waits until a running batch has some rounds on record.
    pub(crate) fn wait_for_journal(&self) {
        wait_until("the journal has lines", || self.journal_length() > 200_000);
    }
}

/// The agent, listening to all signals even where the tests themselves were started under `nohup` or in
/// the background.
fn agent() -> Command {
    let agent = env!("CARGO_BIN_EXE_mutation-agent");
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(ignored.trim(), 16).unwrap();
    // SIGHUP, SIGINT and SIGTERM are 1, 2 and 15.
    if ignored & 0x4003 == 0 {
        return Command::new(agent);
    }
    let mut command = Command::new("env");
    command.args(["--default-signal=HUP,INT,TERM", agent]);
    command
}

/// How many whole lines there are.
pub(crate) fn count_lines(bytes: &[u8]) -> usize {
    bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")).count()
}

/// A process under way; it is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    said: PathBuf,
}

/// A process that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let mut status = None;
        wait_until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let said = |name: &str| fs::read_to_string(self.said.join(name)).unwrap();
        Ended {
            code: status.unwrap().code().unwrap_or(-1),
            stdout: said("stdout"),
            stderr: said("stderr"),
        }
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has logged until now.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.said.join("stderr")).unwrap()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Makes it stand still, and waits until it does.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        let (pid, options) = (Pid::from_child(&self.child), WaitOptions::UNTRACED);
        let (_, status) = waitpid(Some(pid), options).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended long ago, and then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
