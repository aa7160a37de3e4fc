//! The story from the lock to the exit code.

use super::SchedulerError;
use super::child::{Launch, Running, reap};
use super::events::{Event, Events};
use super::in_force::InForce;
use crate::batch::{self, Signal};
use crate::exit::Exit;
use crate::notify::Notifier;
use crate::schedule::{CatchUp, Turn};
use crate::state::{Considered, Starts};
use crate::units::Timestamp;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

/// The longest sleep. The clock is set, and machines are suspended, without anybody telling us.
const PIECE: Duration = Duration::from_secs(1);
/// Until a batch whose process could not be started is tried again.
const BREATH: Duration = Duration::from_secs(10);
/// A batch leaves by itself when its time to stop is over, and gets this much to do so.
const GRACE: Duration = Duration::from_secs(2);

/// Keeps the schedule until a signal ends it.
///
/// `watchdog` is how often the service manager wants a sign of life at least.
pub fn keep(
    launch: &Launch,
    notifier: &Notifier,
    watchdog: Option<Duration>,
) -> Result<Exit, SchedulerError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(SchedulerError::Start)?;
    // Before all else: the first process of a container hears nothing that it does not listen to.
    let mut events = {
        let _entered = runtime.enter();
        Events::listen().map_err(SchedulerError::Start)?
    };
    let in_force = InForce::read(launch)?;
    let starts = Starts::open(&in_force.config.data_dir)?;
    let words = in_force.schedule.in_words();
    let considered = match starts.load()? {
        Some(known) if known.schedule == words => known,
        other => {
            if let Some(Considered { schedule, .. }) = other {
                tracing::info!(before = schedule, "another schedule: starts count from now on");
            }
            let now = Considered::new(batch::now(), words.clone());
            starts.save(&now)?;
            now
        }
    };
    tracing::info!(schedule = words, config = %launch.config.display(), "keeping the schedule");
    let keeper = Keeper {
        launch,
        notifier,
        watchdog: watchdog.map(|limit| limit / 2),
        alive: None,
        in_force,
        refused: None,
        starts,
        considered,
        next: None,
        batch: None,
        held_up: None,
        stopping: None,
        told: String::new(),
    };
    Ok(runtime.block_on(keeper.keep(&mut events)))
}

struct Keeper<'a> {
    launch: &'a Launch,
    notifier: &'a Notifier,
    /// Between two signs of life, and when the last was given.
    watchdog: Option<Duration>,
    alive: Option<Instant>,
    in_force: InForce,
    /// What is wrong with a config that was to be the next one.
    refused: Option<String>,
    starts: Starts,
    considered: Considered,
    next: Option<Timestamp>,
    batch: Option<Running>,
    /// When the process of a batch could not be started.
    held_up: Option<Instant>,
    /// What asked us to stop, and when.
    stopping: Option<(Signal, Instant)>,
    /// What the service manager was told.
    told: String,
}

impl Keeper<'_> {
    async fn keep(mut self, events: &mut Events) -> Exit {
        self.notifier.ready();
        loop {
            if let Some(exit) = self.look() {
                return exit;
            }
            self.tell();
            match events.next(self.patience()).await {
                Event::Look => {}
                Event::Stop(signal) => {
                    if let Some(exit) = self.stop(signal) {
                        return exit;
                    }
                }
                Event::Reload => self.reload(),
            }
        }
    }

    /// Looks at the batch and the clock; an exit code once we are to stop and nothing runs.
    fn look(&mut self) -> Option<Exit> {
        let end = reap(self.batch.as_ref().map(|batch| batch.pid));
        let ended = end.and_then(|end| Some((end, self.batch.take()?)));
        if let Some((end, batch)) = &ended {
            batch.tell(*end);
        }
        let Some((signal, since)) = self.stopping else {
            let held_up = self.held_up.is_some_and(|since| since.elapsed() < BREATH);
            if self.batch.is_none() && !held_up {
                self.turn();
            }
            return None;
        };
        match &self.batch {
            Some(batch) if since.elapsed() > batch.shutdown_timeout + GRACE => {
                batch.signal(rustix::process::Signal::KILL);
                tracing::error!(
                    "shutdown_timeout is over: the batch is killed; the next start seals it"
                );
                Some(signal.exit())
            }
            Some(_) => None,
            None => Some(ended.map_or(Exit::Done, |(end, _)| end.exit(signal))),
        }
    }

    /// Does what is due: moves what was considered, until there is a batch to wait for, or a start.
    fn turn(&mut self) {
        loop {
            let now = batch::now();
            let timetable = &self.in_force.schedule.timetable;
            let text = |moment| timetable.local_text(moment);
            match timetable.turn(self.considered.until, self.considered.begun, now) {
                Turn::Wait(next) => {
                    if let Some(next) = next.filter(|_| self.next != next) {
                        tracing::info!(next = text(next), "waiting");
                    }
                    self.next = next;
                    return;
                }
                Turn::Begin { start, missed } => {
                    let late = now.since(start).as_secs();
                    if missed.is_any() && timetable.catch_up() == CatchUp::Skip {
                        tracing::warn!(%missed, "starts were missed: no batch for them");
                    } else if missed.is_any() {
                        tracing::warn!(%missed, "starts were missed; this batch is for all of them");
                    }
                    tracing::info!(start = text(start), late_seconds = late, "starting a batch");
                    let before = self.considered.clone();
                    self.considered.begun = Some(start);
                    self.consider(start);
                    if !self.begin() {
                        // There was none, and the next moment may have what this one lacks.
                        self.considered = before;
                        self.consider(self.considered.until);
                        self.held_up = Some(Instant::now());
                    }
                    return;
                }
                Turn::Pass { newest, missed } => {
                    let catch_up = timetable.catch_up().as_str();
                    tracing::warn!(%missed, newest = text(newest), catch_up, "starts were missed: no batch for them");
                    self.consider(newest);
                }
                Turn::SetBack { to } => {
                    let (last, from) = (text(self.considered.until), text(to));
                    tracing::warn!(
                        last,
                        from,
                        "the clock was set back: starts count from there on"
                    );
                    self.consider(to);
                }
            }
        }
    }

    /// Before a batch begins: one that brings the machine down is not to begin again and again.
    fn consider(&mut self, until: Timestamp) {
        self.considered.until = until;
        if let Err(error) = self.starts.save(&self.considered) {
            tracing::error!(%error, "a restart will not know of this start");
        }
    }

    /// Whether a batch has begun.
    fn begin(&mut self) -> bool {
        let InForce { config, text, .. } = &self.in_force;
        match Running::start(self.launch, text, config.batch.shutdown_timeout) {
            Ok(batch) => self.batch = Some(batch),
            Err(error) => {
                tracing::error!(%error, "the batch's process cannot be started; tried again in a moment");
            }
        }
        self.batch.is_some()
    }

    /// The first signal lets a batch come to its end, the second does not.
    fn stop(&mut self, signal: Signal) -> Option<Exit> {
        if let Some(batch) = &self.batch {
            batch.signal(signal.to_rustix());
        }
        if self.stopping.is_some() {
            tracing::warn!("second signal: leaving at once; the next start does the rest");
            return Some(signal.exit());
        }
        tracing::info!(?signal, batch_runs = self.batch.is_some(), "asked to stop");
        self.notifier.stopping();
        self.stopping = Some((signal, Instant::now()));
        None
    }

    /// Reads the config again. A batch under way goes on with the one that it has.
    fn reload(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.notifier.reloading();
        let read = InForce::read_again(self.launch).and_then(|new| {
            let same = new.config.data_dir == self.in_force.config.data_dir;
            if same { Ok(new) } else { Err(SchedulerError::Moved(self.launch.config.clone())) }
        });
        match read {
            Ok(new) => {
                let words = new.schedule.in_words();
                tracing::info!(schedule = words, "the config was read again");
                self.in_force = new;
                // Said anew, for it may be another one.
                self.next = None;
                self.refused = None;
                if words != self.considered.schedule {
                    self.considered.schedule = words;
                    self.consider(batch::now());
                }
            }
            Err(error) => {
                tracing::error!(
                    "the config is refused, and the one before stays in force: {error}"
                );
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                self.refused = Some(first);
            }
        }
        self.notifier.ready();
    }

    /// How long to sleep.
    fn patience(&self) -> Duration {
        let next = self.next.filter(|_| self.batch.is_none());
        let until_next = next.map_or(PIECE, |next| next.since(batch::now()));
        let until_alive = self
            .watchdog
            .zip(self.alive)
            .map_or(PIECE, |(limit, last)| limit.saturating_sub(last.elapsed()));
        PIECE.min(until_next).min(until_alive)
    }

    /// Tells the service manager what has changed, and that we are alive.
    fn tell(&mut self) {
        let status = self.status();
        if status != self.told {
            self.notifier.status(&status);
            self.told = status;
        }
        let due = |limit: Duration| self.alive.is_none_or(|last| last.elapsed() >= limit);
        if self.watchdog.is_some_and(due) {
            self.notifier.alive();
            self.alive = Some(Instant::now());
        }
    }

    fn status(&self) -> String {
        let timetable = &self.in_force.schedule.timetable;
        let doing = match (&self.stopping, &self.batch, self.next) {
            (Some(_), _, _) => "stopping: the batch comes to its end".to_owned(),
            (None, Some(batch), _) => {
                format!("batch running since {}", timetable.local_text(batch.since))
            }
            (None, None, Some(next)) => format!("next start {}", timetable.local_text(next)),
            (None, None, None) => "there is no next start".to_owned(),
        };
        match &self.refused {
            Some(error) => {
                format!("{doing}; the config is refused, and the one before stays: {error}")
            }
            None => doing,
        }
    }
}
