//! `compare`: two sets of attempts held against each other.

mod table;

use super::selection::{Selection, read};
use super::{Configuration, Failure};
use crate::audit::{Log, Logs};
use crate::batch::now;
use crate::comparison::{
    Comparison, Context, Labels, Selector, SelectorError, Set, Vocabulary, caveats, sentences,
};
use crate::evolution::Direction;
use crate::exit::Exit;
use crate::units::{BatchId, Timestamp};
use chacha20::ChaCha8Rng;
use rand::SeedableRng as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The same records give the same intervals.
const SEED: u64 = 20_261_123;

/// Of which sets, over which records, in which form.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// A set of attempts: variant=NAME, operator=NAME, parameter=NAME, strategy=NAME, batch=ID,
    /// date=2026-11-23 or date=2026-11-20..2026-11-23, path=AUDIT; with commas between, what all of them hold for,
    /// and of one kind any. A word alone, where it can only mean one of these
    a: String,
    /// The other set, in the same way
    b: String,
    #[command(flatten)]
    selection: Selection,
    /// One JSON object with all figures; null where there is nothing to say
    #[arg(long)]
    json: bool,
    /// Of the intervals; a p-value below what it leaves tells a difference
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = confidence)]
    confidence: f64,
}

fn confidence(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.5..=0.9999).contains(&share) => Ok(share),
        _ => Err("expected a share from 0.5 to 0.9999, such as 0.95".to_owned()),
    }
}

/// Reads the records and prints what differs.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let now = now();
    let parse = |text: &str| Selector::parse(text, now).map_err(|error| usage(&error));
    let mut sets = [parse(&args.a)?, parse(&args.b)?];
    resolve(source, args, &mut sets, now)?;
    let sources = sources(source, args, &sets)?;
    let read = Reading::of(&sources, &sets, args)?;
    read.check(args, &sets)?;
    let [a, b] = &read.sets;
    let told = Told::by(&sources, &read.sets);
    let labels = Labels { a: &args.a, b: &args.b };
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut found = Comparison::of((a, b), labels, told.direction(), args.confidence, &mut rng);
    let of_draws = sets.iter().any(Selector::is_of_draws);
    let context = Context {
        of_draws,
        other_directions: told.directions.len() > 1,
        other_data: told.other_data,
    };
    found.sentences = sentences(&found);
    found.caveats = caveats(a, b, context);
    if args.json {
        let text = serde_json::to_string(&found);
        writeln!(out, "{}", text.map_err(|error| Failure::new(Exit::Internal, &error))?)?;
    } else {
        table::write(&found, out)?;
    }
    Ok(Exit::Done)
}

fn usage(error: &SelectorError) -> Failure {
    Failure::new(Exit::Usage, error)
}

/// Finds out what bare words mean, which takes a reading of its own.
fn resolve(
    source: &Configuration,
    args: &Args,
    sets: &mut [Selector; 2],
    now: Timestamp,
) -> Result<(), Failure> {
    if !sets.iter().any(Selector::has_words) {
        return Ok(());
    }
    // A strategy goes by the path of its file, and no audit is a Python file.
    let is_path = |word: &str| {
        let path = Path::new(word);
        path.extension().is_none_or(|end| end != "py") && path.exists()
    };
    // Words that are paths need no audit of the configuration's, and there may be none.
    let mut known = Vocabulary::default();
    let mut alone = sets.clone();
    let resolved = alone.iter_mut().try_for_each(|set| set.resolve(&known, is_path, now));
    if resolved.is_ok() && alone.iter().all(|set| !set.paths().is_empty()) {
        *sets = alone;
        return Ok(());
    }
    for log in args.selection.logs(source)?.iter() {
        read(log, |record| known.add(record))?;
    }
    sets.iter_mut().try_for_each(|set| set.resolve(&known, is_path, now)).map_err(|e| usage(&e))
}

/// Logs, and which of the two sets take from them.
struct Source {
    logs: Logs,
    for_set: [bool; 2],
}

fn sources(
    source: &Configuration,
    args: &Args,
    sets: &[Selector; 2],
) -> Result<Vec<Source>, Failure> {
    let mut by_paths = BTreeMap::<Vec<PathBuf>, [bool; 2]>::new();
    for (at, set) in sets.iter().enumerate() {
        by_paths.entry(set.paths().to_vec()).or_default()[at] = true;
    }
    if !args.selection.files.is_empty() && !by_paths.contains_key(&Vec::new()) {
        let text = "both sets name their paths: leave out the files after them";
        return Err(Failure::said(Exit::Usage, text.to_owned()));
    }
    let mut sources = Vec::new();
    for (files, for_set) in by_paths {
        let selection = if files.is_empty() {
            args.selection.clone()
        } else {
            Selection { files, ..args.selection.clone() }
        };
        sources.push(Source { logs: selection.logs(source)?, for_set });
    }
    Ok(sources)
}

/// The two sets, and what was seen beside them.
struct Reading {
    sets: [Set; 2],
    /// By set: of what it could take from.
    known: [Vocabulary; 2],
    /// Attempts that both would have.
    shared: u64,
}

impl Reading {
    fn of(sources: &[Source], selectors: &[Selector; 2], args: &Args) -> Result<Self, Failure> {
        let period = args.selection.period()?;
        let mut all = Self { sets: Default::default(), known: Default::default(), shared: 0 };
        for source in sources {
            for log in source.logs.iter() {
                for at in [0, 1].into_iter().filter(|at| source.for_set[*at]) {
                    log.batch().into_iter().for_each(|id| all.known[at].add_batch(id));
                }
                read(log, |record| {
                    if !period.contains(record.timestamp) {
                        return;
                    }
                    let mut taken = 0;
                    for at in [0, 1].into_iter().filter(|at| source.for_set[*at]) {
                        all.known[at].add(record);
                        if selectors[at].matches(record) {
                            all.sets[at].add(record);
                            taken += 1;
                        }
                    }
                    all.shared += u64::from(taken == 2);
                })?;
            }
        }
        // What two paths have in common was read twice.
        if sources.len() > 1 && all.shared == 0 {
            let [a, b] = &all.sets;
            let of_a: BTreeSet<&BatchId> = a.batches().collect();
            let twice = b.batches().any(|id| of_a.contains(id));
            all.shared = if twice { a.attempts().min(b.attempts()) } else { 0 };
        }
        Ok(all)
    }

    /// Nothing can be said of a set without attempts, nor of one that is part of the other.
    fn check(&self, args: &Args, selectors: &[Selector; 2]) -> Result<(), Failure> {
        for (at, (name, text)) in [("A", &args.a), ("B", &args.b)].into_iter().enumerate() {
            if self.sets[at].attempts() == 0 {
                let why = selectors[at].lack(&self.known[at]);
                let text = format!("{name} ({text}) has no attempts: {why}");
                return Err(Failure::said(Exit::NoStrategy, text));
            }
        }
        if self.shared > 0 {
            let text = format!(
                "the sets overlap, in {} attempts or so: {} and {} must have none in common to be compared",
                self.shared, args.a, args.b
            );
            return Err(Failure::said(Exit::Usage, text));
        }
        Ok(())
    }
}

/// What manifests tell of the batches in the sets.
#[derive(Default)]
struct Told {
    /// Whether less is better.
    directions: BTreeSet<bool>,
    baselines: BTreeMap<String, u64>,
    other_data: bool,
}

impl Told {
    /// By those that can be read; records stand without them.
    fn by(sources: &[Source], sets: &[Set; 2]) -> Self {
        let wanted: BTreeSet<&BatchId> = sets.iter().flat_map(Set::batches).collect();
        let mut told = Self::default();
        let logs = sources.iter().flat_map(|source| source.logs.iter());
        for log in logs.filter(|log| log.batch().is_some_and(|id| wanted.contains(id))) {
            told.add(log);
        }
        told
    }

    fn add(&mut self, log: &Log) {
        let Some(Ok(manifest)) = log.manifest() else { return };
        if let Some(search) = manifest.summary.search {
            self.directions.insert(search.less_is_better);
            for (name, strategy) in search.strategies {
                // Another text of the source is other data's like.
                let bits = strategy.baseline.to_bits();
                self.other_data |= *self.baselines.entry(name).or_insert(bits) != bits;
            }
        }
    }

    fn direction(&self) -> Option<Direction> {
        match *self.directions.iter().collect::<Vec<_>>().as_slice() {
            [true] => Some(Direction::Minimize),
            [false] => Some(Direction::Maximize),
            _ => None,
        }
    }
}
