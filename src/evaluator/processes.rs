//! What `/proc` says about processes: who descends from whom, who belongs to whom, and how long it has worked.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A process that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    pub(super) group: i32,
    session: i32,
    /// Ended, but nobody has asked how.
    zombie: bool,
    /// Processor time so far, in clock ticks.
    ticks: u64,
}

/// All that are alive and descend from `ancestor`, itself left out.
pub(super) fn descendants(ancestor: i32) -> Vec<Process> {
    let all = all();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let before = family.len();
        family.extend(
            all.iter()
                .filter(|one| family.contains(&one.parent))
                .map(|one| one.pid)
                .collect::<Vec<_>>(),
        );
        if family.len() == before {
            break;
        }
    }
    let descends = |one: &Process| one.pid != ancestor && family.contains(&one.pid) && !one.zombie;
    all.into_iter().filter(descends).collect()
}

/// All that are alive and either in `session` or marked by `name=value` in their environment.
pub(super) fn belonging(session: i32, name: &str, value: &str) -> Vec<Process> {
    let variable = format!("{name}={value}");
    let marked = |one: &Process| has_variable(one, |entry| entry == variable.as_bytes());
    let belongs = |one: &Process| !one.zombie && (one.session == session || marked(one));
    all().into_iter().filter(belongs).collect()
}

/// All that are alive and have a variable in their environment whose `name=value` begins so.
pub(super) fn marked(beginning: &str) -> Vec<Process> {
    let belongs = |one: &Process| {
        !one.zombie && has_variable(one, |entry| entry.starts_with(beginning.as_bytes()))
    };
    all().into_iter().filter(belongs).collect()
}

fn has_variable(process: &Process, is_it: impl Fn(&[u8]) -> bool) -> bool {
    let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(is_it)
}

/// Sends a signal to each; those that ended meanwhile need none.
pub(super) fn signal_each(processes: &[Process], signal: Signal) {
    for pid in processes.iter().filter_map(|one| Pid::from_raw(one.pid)) {
        let _ = kill_process(pid, signal);
    }
}

/// The processor time that a process has used, also of one that has ended and is not reaped.
pub(super) fn cpu_time(pid: i32) -> Option<Duration> {
    let ticks = read(pid)?.ticks;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1000) / per_second))
}

fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(read).collect()
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// As proc(5) has it. The second field is the program's name in parentheses, which may hold anything.
fn parse(pid: i32, stat: &str) -> Option<Process> {
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<i32>().ok();
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: number(1)?,
        group: number(2)?,
        session: number(3)?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        ticks: ticks(11)?.saturating_add(ticks(12)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_parentheses_and_blanks_does_not_shift_the_fields() {
        let stat = "7 (a ) Z 1 (b)) S 3 4 5 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 9 1 1";
        let expected =
            Process { pid: 7, parent: 3, group: 4, session: 5, zombie: false, ticks: 200 };
        assert_eq!(parse(7, stat), Some(expected));
        assert_eq!(parse(7, "7 (cut"), None);
        assert_eq!(parse(7, "7 (cut) S 1"), None);
    }

    #[test]
    fn we_are_found_as_we_are() {
        let own = std::process::id().cast_signed();
        let read = read(own).unwrap();
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        assert_eq!((read.group, read.zombie), (group, false));
        assert!(cpu_time(own).is_some());
        assert!(descendants(read.parent).iter().any(|one| one.pid == own));
    }
}
