//! `stats`: figures over audit files, read back.

mod bars;
mod table;

use super::selection::{Selection, is_there};
use super::{Configuration, Failure};
use crate::exit::Exit;
use crate::metrics::{Breakdown, Buckets, Dimension, Group, Key, Statistics, Tally};
use crate::record::Record;
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use std::io::{self, IsTerminal as _, Write};
pub(super) use table::write_table;

/// Over which records, in which form.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Args {
    #[command(flatten)]
    selection: Selection,
    /// The same figures for each parameter, operator, variant, strategy, outcome, round, batch or day (UTC) too;
    /// several, with commas between, for each combination that there was
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    by: Vec<Dimension>,
    /// One JSON object with the given field names; null where there is nothing to say
    #[arg(long)]
    json: bool,
}

/// What is counted.
#[derive(Clone)]
struct Counted {
    tally: Tally,
    breakdown: Breakdown,
}

impl Counted {
    fn add(&mut self, record: &Record<'_>) {
        self.tally.add(record);
        self.breakdown.add(record);
    }

    /// Takes in what was counted later, and leaves nothing of it behind.
    fn take(&mut self, later: &mut Self) {
        self.tally.merge(&later.tally);
        later.tally.clear();
        self.breakdown.take(&mut later.breakdown);
    }
}

/// Reads the logs one after the other, each on every core, and prints the figures.
pub fn run(source: &Configuration, args: &Args, out: &mut dyn Write) -> Result<Exit, Failure> {
    let none = Counted {
        tally: Tally::new(Buckets::default()),
        breakdown: Breakdown::new(args.by.clone()),
    };
    let mut counted = none.clone();
    let period = args.selection.period()?;
    let mut files = 0;
    for log in args.selection.logs(source)?.iter() {
        let visit = |part: &mut Counted, record: &Record<'_>| {
            if period.contains(record.timestamp) {
                part.add(record);
            }
        };
        let read = log.fold(|| none.clone(), visit, |part| counted.take(part));
        files += usize::from(is_there(log, read)?);
    }
    let Counted { tally, breakdown } = counted;
    let groups = breakdown.into_groups().map_err(|error| Failure::new(Exit::Usage, &error))?;
    if args.json {
        return print_json(&tally, &args.by, &groups, out);
    }
    let plural = if files == 1 { "" } else { "s" };
    writeln!(out, "{files} audit file{plural}")?;
    if args.by.is_empty() {
        write_table(&tally, out)?;
    } else {
        table::write_groups(&args.by, &groups, out)?;
    }
    if io::stdout().is_terminal() {
        bars::write(&tally, out)?;
    }
    Ok(Exit::Done)
}

/// The figures over all, and where `--by` asks for them, those of each group.
#[derive(Serialize)]
struct Figures<'a> {
    #[serde(flatten)]
    all: Statistics,
    #[serde(skip_serializing_if = "Option::is_none")]
    groups: Option<Vec<GroupFigures<'a>>>,
}

#[derive(Serialize)]
struct GroupFigures<'a> {
    #[serde(flatten)]
    keys: Keys<'a>,
    #[serde(flatten)]
    figures: Statistics,
}

/// A field for each dimension, in the order that was asked for.
struct Keys<'a>(&'a [Dimension], &'a [Key]);

impl Serialize for Keys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (dimension, key) in self.0.iter().zip(self.1) {
            match key {
                Key::None => map.serialize_entry(dimension.as_str(), &None::<()>)?,
                Key::Number(number) => map.serialize_entry(dimension.as_str(), number)?,
                Key::Text(text) => map.serialize_entry(dimension.as_str(), text)?,
            }
        }
        map.end()
    }
}

fn print_json(
    tally: &Tally,
    by: &[Dimension],
    groups: &[Group],
    out: &mut dyn Write,
) -> Result<Exit, Failure> {
    let of = |group| {
        let Group { keys, tally }: &Group = group;
        GroupFigures { keys: Keys(by, keys), figures: Statistics::of(tally) }
    };
    let groups = (!by.is_empty()).then(|| groups.iter().map(of).collect());
    let text = serde_json::to_string(&Figures { all: Statistics::of(tally), groups });
    writeln!(out, "{}", text.map_err(|error| Failure::new(Exit::Internal, &error))?)?;
    Ok(Exit::Done)
}
