//! Taking in what another program writes, while it writes: a batch for each time that it is at work.
//!
//! Between batches no lock is held, so that everything else can be done. A batch ends when nothing comes any more; when
//! a log was renamed or cut, for what comes then is another log; and after six hours, so that none is open for ever.

use super::delivery::Delivered;
use super::ending::{BatchEnd, Ended};
use super::generations::Desk;
use super::ingestion::{IngestError, Ingestion, Source};
use super::open_batch::OpenBatch;
use super::run::open;
use super::{BatchError, Progress};
use crate::exit::Exit;
use crate::gateway::Schedule;
use crate::ingest::{LogError, OldLog, Place, Standing, Survey, Watch, look_at_growing};
use crate::state::{DataDir, LockError, OpenError, Store};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Between two looks at the logs.
const TICK: Duration = Duration::from_millis(250);
/// A program may write a little in a log that was renamed, before it knows.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Between two tries to deliver what a gateway has not taken.
const AGAIN: Duration = Duration::from_mins(1);
/// No batch is open for longer, as by default no other one is.
const LONGEST: Duration = Duration::from_hours(6);
/// After a look that found nothing new: a log may get lines that are no records, and each look reads all of it.
const REST: Duration = Duration::from_secs(5);

/// Logs that are followed.
pub(super) struct Following<'i, 'a> {
    ingestion: &'i Ingestion<'a>,
    watch: Watch,
    idle: Duration,
    /// When gateways that lack the newest totals are tried again.
    again: Option<Instant>,
    /// Until when no log is looked through.
    rest: Instant,
    /// Logs with the lines of one that is followed: what they get is looked at after the batch.
    passed: Vec<Place>,
    /// Somebody else's lock was seen, and told of.
    waits: bool,
    exit: Exit,
}

impl Ingestion<'_> {
    /// Takes in what is written in files of these names until asked to stop; a batch is sealed when nothing came for
    /// `idle`. Each is handed to `tell`.
    pub fn follow(
        &self,
        paths: &[PathBuf],
        idle: Duration,
        mut tell: impl FnMut(&BatchEnd),
    ) -> Result<Exit, IngestError> {
        let mut following = Following {
            ingestion: self,
            watch: Watch::new(paths),
            idle,
            // What was not delivered yet is tried at once.
            again: Some(Instant::now()),
            rest: Instant::now(),
            passed: Vec::new(),
            waits: false,
            exit: Exit::Done,
        };
        self.notifier.status("waiting for new lines");
        while self.shutdown.asked().is_none()
            && matches!(following.exit, Exit::Done | Exit::TryLater)
        {
            let watch = &mut following.watch;
            watch.let_go().and_then(|()| watch.look()).map_err(LogError::from)?;
            let is_rested = following.rest <= Instant::now();
            if is_rested && following.watch.has_news().map_err(LogError::from)? {
                following.take_in(&mut tell)?;
            } else if following.again.is_some_and(|again| again <= Instant::now()) {
                following.deliver_again()?;
            }
            self.pause();
        }
        self.notifier.stopping();
        Ok(following.exit)
    }

    /// A moment, or less when we are asked to stop.
    fn pause(&self) {
        // Whichever it was.
        let _ =
            self.threads.block_on(async { tokio::time::timeout(TICK, self.shutdown.wait()).await });
    }
}

impl Following<'_, '_> {
    /// A batch, if there is anything new in the logs and nobody else is at work.
    fn take_in(&mut self, tell: &mut impl FnMut(&BatchEnd)) -> Result<(), IngestError> {
        let Some(mut data) = self.open()? else { return Ok(()) };
        let ingestion = self.ingestion;
        let places = self.watch.due().map_err(LogError::from)?;
        let logs: Vec<Rc<OldLog>> = places.iter().map(|place| self.watch.get(*place)).collect();
        let logs = logs.iter().map(Rc::as_ref);
        let parameters = ingestion.config.parameter_names();
        let surveys = look_at_growing(logs.clone(), data.state.totals.ingested(), &parameters)?;
        places
            .iter()
            .zip(&surveys)
            .for_each(|(place, one)| self.watch.read_up_to(*place, one.bytes));
        if surveys.iter().all(|survey| survey.records == 0) {
            self.rest = Instant::now() + REST;
            return Ok(());
        }
        let (chosen, passed) = choose(&surveys);
        // What has more than the one that it begins like is next.
        let (next, passed): (Vec<usize>, Vec<usize>) =
            passed.into_iter().partition(|index| surveys[*index].records > 0);
        for index in next {
            self.watch.look_again(places[index]);
        }
        self.passed = passed.into_iter().map(|index| places[index]).collect();
        let all: Vec<(&OldLog, &Survey)> = logs.zip(&surveys).collect();
        let new: Vec<(&OldLog, &Survey)> = chosen.iter().map(|index| all[*index]).collect();
        let places: Vec<Place> = chosen.iter().map(|index| places[*index]).collect();
        let end = ingestion.batch(&mut data, &new, true, |batch, desk, sources| {
            let ended = self.stay(batch, desk, sources, &places);
            for (place, source) in places.iter().zip(sources) {
                self.watch.read_up_to(*place, source.taking.bytes());
                if source.is_stuck {
                    self.watch.look_again(*place);
                }
            }
            ended
        })?;
        self.mind(&end.delivered, end.exit);
        tell(&end);
        ingestion.notifier.status("waiting for new lines");
        Ok(())
    }

    /// The data folder; `None` while somebody else has it.
    fn open(&mut self) -> Result<Option<DataDir>, IngestError> {
        match open(self.ingestion.config) {
            Ok(data) => {
                self.waits = false;
                Ok(Some(data))
            }
            Err(OpenError::Lock(error @ LockError::Taken(_))) => {
                if !std::mem::replace(&mut self.waits, true) {
                    tracing::info!(%error, "new lines wait until then");
                }
                Ok(None)
            }
            Err(error) => Err(BatchError::from(error).into()),
        }
    }

    /// Takes what is written until the batch is to end.
    fn stay(
        &mut self,
        batch: &OpenBatch<'_>,
        desk: &mut Desk<'_, '_>,
        sources: &mut [Source<'_>],
        places: &[Place],
    ) -> Ended {
        let progress = Progress::hidden();
        let begun = Instant::now();
        let mut quiet = vec![begun; sources.len()];
        let mut beside = None;
        loop {
            for (source, quiet) in sources.iter_mut().zip(&mut quiet) {
                match self.ingestion.take(batch, desk, source, &progress) {
                    Ok(false) => {}
                    Ok(true) => *quiet = Instant::now(),
                    // To be told to stop is how following ends.
                    Err(Ended::Signal(_)) => return Ended::Ingested,
                    Err(ended) => return ended,
                }
            }
            let kept = desk.recorder.flush_in_time().map_err(Ended::Error);
            if let Err(ended) = kept.and_then(|()| Ingestion::publish_in_time(batch, desk)) {
                return ended;
            }
            let has_left = match self.has_left(sources, places, &quiet, &mut beside) {
                Ok(has_left) => has_left,
                Err(error) => return Ended::Unreadable(error),
            };
            if has_left || begun.elapsed() >= LONGEST || self.ingestion.shutdown.asked().is_some() {
                return Ended::Ingested;
            }
            self.ingestion.pause();
        }
    }

    /// Whether nothing more is to be waited for in these logs, or others wait: since when is in `beside`.
    fn has_left(
        &mut self,
        sources: &[Source<'_>],
        places: &[Place],
        quiet: &[Instant],
        beside: &mut Option<Instant>,
    ) -> Result<bool, LogError> {
        if quiet.iter().all(|since| since.elapsed() >= self.idle) {
            return Ok(true);
        }
        self.watch.look()?;
        for ((Source { log, taking, is_stuck }, place), quiet) in
            sources.iter().zip(places).zip(quiet)
        {
            let is_cut = !log.is_packed() && log.length()? < taking.bytes();
            let is_leaving = self.watch.is_left_behind(*place)
                || quiet.elapsed() >= LAST_WORDS && log.is_replaced()?;
            if *is_stuck || is_cut || is_leaving {
                return Ok(true);
            }
        }
        let mut others_wait = false;
        for place in self.watch.news_beside(&[places, &self.passed].concat())? {
            let log = self.watch.get(place);
            let length = log.length()?;
            if log.first_record(false)?.is_some() {
                others_wait = true;
            } else {
                self.watch.read_up_to(place, length);
            }
        }
        *beside = if others_wait { Some(beside.unwrap_or_else(Instant::now)) } else { None };
        Ok(beside.is_some_and(|since| since.elapsed() >= LAST_WORDS))
    }

    /// What a gateway has not taken is tried again later; what failed otherwise ends it all.
    fn mind(&mut self, delivered: &[Delivered], exit: Exit) {
        let failed = delivered.iter().any(|one| one.result.is_err());
        self.again = failed.then(|| Instant::now() + AGAIN);
        self.exit = exit;
    }

    fn deliver_again(&mut self) -> Result<(), IngestError> {
        // Nobody else is to find the lock taken for nothing.
        let seen = Store::new(&self.ingestion.config.data_dir).look();
        if !matches!(seen, Ok(Some(Ok(state))) if self.ingestion.lack(&state).next().is_some()) {
            self.again = None;
            return Ok(());
        }
        let Some(mut data) = self.open()? else { return Ok(()) };
        let once = Schedule::once(self.ingestion.config.push.attempt_timeout);
        let delivered = self.ingestion.deliver_waiting(&mut data, once);
        let failed = delivered.iter().any(|one| one.result.is_err());
        self.mind(&delivered, if failed { Exit::TryLater } else { Exit::Done });
        Ok(())
    }
}

/// Which logs a batch follows, and which have lines that it has from another: of those that begin alike, one that has
/// something new is followed. What has no record yet is neither; it is looked at again when it has grown.
fn choose(surveys: &[Survey]) -> (Vec<usize>, Vec<usize>) {
    let head = |index: usize| surveys[index].known.as_ref().map(|known| &known.head);
    let (mut chosen, mut passed) = (Vec::new(), Vec::new());
    for (index, survey) in surveys.iter().enumerate() {
        let alike = || (0..surveys.len()).filter(|other| head(*other) == head(index));
        let best = alike().find(|other| surveys[*other].records > 0).or_else(|| alike().next());
        if head(index).is_some() && best == Some(index) {
            chosen.push(index);
        } else if head(index).is_some() || survey.standing == Standing::Shorter {
            passed.push(index);
        }
    }
    (chosen, passed)
}
