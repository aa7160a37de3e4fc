//! Which attempts are meant: `variant=wide,parameter=stop_loss_pct`, `2026-11-20..2026-11-23`, a batch, a path.

use super::Vocabulary;
use super::vocabulary::{is_strategy, listed, nearest};
use crate::mutation::Operator;
use crate::record::Record;
use crate::units::{BatchId, Moment, Period, Timestamp};
use std::path::PathBuf;

/// What may stand before the `=`.
const KEYS: [&str; 7] = ["variant", "operator", "parameter", "strategy", "batch", "date", "path"];

/// A set of attempts in words. Of terms of one kind one must hold, and one of each kind that there is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    variants: Vec<String>,
    operators: Vec<Operator>,
    parameters: Vec<String>,
    strategies: Vec<String>,
    batches: Vec<BatchId>,
    dates: Vec<Period>,
    /// Audit files and folders; without any, what the comparison is over.
    paths: Vec<PathBuf>,
    /// Bare words, until it is known what they mean.
    words: Vec<String>,
}

/// What cannot be understood, and what might have been meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// A term without a word in it.
    #[error("`{0}` has an empty term: write KIND=NAME, several with commas between")]
    Empty(String),
    /// What stands before the `=`.
    #[error("`{typed}` is no kind of set{}; there is {}", hint(.near.as_deref()), KEYS.join(", "))]
    Kind {
        /// As typed.
        typed: String,
        /// What is like it.
        near: Option<String>,
    },
    /// An operator that there is not.
    #[error("there is no operator `{typed}`{}; there is {}", hint(.near.as_deref()), operators().join(", "))]
    Operator {
        /// As typed.
        typed: String,
        /// What is like it.
        near: Option<String>,
    },
    /// Text that is no batch id.
    #[error(transparent)]
    Batch(#[from] crate::units::BatchIdError),
    /// Text that is no stretch of time.
    #[error(
        "`{0}` is no date: write 2026-11-23, 2026-11-20..2026-11-23, 7d.. or a moment like 2026-11-23T02:00:00Z in the place of a day"
    )]
    Date(String),
    /// A stretch of time in which no moment is.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
    /// A bare word that means nothing here.
    #[error("`{typed}` is no batch, date, operator, variant, parameter, strategy or path{}", hint(.near.as_deref()))]
    Unknown {
        /// As typed.
        typed: String,
        /// What is like it.
        near: Option<String>,
    },
    /// A bare word that means several things.
    #[error("`{typed}` can mean {}; write which", .meanings.join(" or "))]
    Ambiguous {
        /// As typed.
        typed: String,
        /// Terms that are not.
        meanings: Vec<String>,
    },
}

fn hint(near: Option<&str>) -> String {
    near.map_or(String::new(), |near| format!(" (did you mean `{near}`?)"))
}

fn operators() -> [&'static str; 5] {
    Operator::ALL.map(Operator::as_str)
}

impl Selector {
    /// Reads terms with commas between. Bare words stay what they are until [`Self::resolve`].
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, SelectorError> {
        let mut selector = Self::default();
        for term in text.split(',').map(str::trim) {
            match term.split_once('=') {
                _ if term.is_empty() => return Err(SelectorError::Empty(text.to_owned())),
                Some((_, "")) => return Err(SelectorError::Empty(text.to_owned())),
                Some((kind, name)) => selector.add(kind, name, now)?,
                None => selector.words.push(term.to_owned()),
            }
        }
        Ok(selector)
    }

    /// Whether there are bare words, for which a vocabulary is needed.
    pub const fn has_words(&self) -> bool {
        !self.words.is_empty()
    }

    /// Whether operators or parameters are selected, of which an attempt may have several.
    pub const fn is_of_draws(&self) -> bool {
        !self.operators.is_empty() || !self.parameters.is_empty()
    }

    /// Audit files and folders that it names.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Takes each bare word for the one thing that it can mean. `is_path` says whether there is such a file or folder.
    pub fn resolve(
        &mut self,
        known: &Vocabulary,
        is_path: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<(), SelectorError> {
        for word in std::mem::take(&mut self.words) {
            let mut kinds: Vec<&str> = Vec::new();
            let strategies: Vec<&String> =
                known.strategies.iter().filter(|path| is_strategy(path, &word)).collect();
            for (kind, is) in [
                ("variant", known.variants.contains(&word)),
                ("operator", operators().contains(&word.as_str())),
                ("parameter", known.parameters.contains(&word)),
                ("strategy", !strategies.is_empty()),
                ("batch", word.parse::<BatchId>().is_ok()),
                ("date", period(&word, now).is_some()),
                ("path", is_path(&word)),
            ] {
                if is {
                    kinds.push(kind);
                }
            }
            match *kinds.as_slice() {
                [] => {
                    let names = known.all().chain(operators());
                    let near = nearest(&word, names).map(ToOwned::to_owned);
                    return Err(SelectorError::Unknown { typed: word, near });
                }
                [kind] => self.add(kind, &word, now)?,
                _ => {
                    let meanings = kinds.iter().map(|kind| format!("{kind}={word}")).collect();
                    return Err(SelectorError::Ambiguous { typed: word, meanings });
                }
            }
        }
        Ok(())
    }

    /// Whether the attempt is meant; of which paths it comes is for the reader to know.
    pub fn matches(&self, record: &Record<'_>) -> bool {
        fn one_of<T>(terms: &[T], is: impl Fn(&T) -> bool) -> bool {
            terms.is_empty() || terms.iter().any(is)
        }
        one_of(&self.variants, |name| record.variant.as_deref() == Some(name))
            && one_of(&self.operators, |one| record.operator == *one)
            && one_of(&self.parameters, |name| record.parameter == *name)
            && one_of(&self.strategies, |name| is_strategy(&record.strategy, name))
            && one_of(&self.batches, |id| *record.batch_id == *id)
            && one_of(&self.dates, |period| period.contains(record.timestamp))
    }

    /// Why it selects nothing of what was read, in words.
    pub fn lack(&self, known: &Vocabulary) -> String {
        if known.attempts == 0 {
            return "no attempt was read at all".to_owned();
        }
        let unknown = self.names().find_map(|(kind, name)| {
            let names = known.of(kind);
            let is = |one: &String| one == name || (kind == "strategy" && is_strategy(one, name));
            let near = nearest(name, names.iter().map(String::as_str));
            (!names.iter().any(is)).then(|| match near {
                Some(near) => format!("there is no {kind} `{name}`; did you mean `{near}`?"),
                None if names.is_empty() => format!("there is no {kind} in what was read"),
                None => format!("there is no {kind} `{name}`; there is {}", listed(names)),
            })
        });
        let none = || format!("none of the {} attempts that were read is meant", known.attempts);
        unknown.unwrap_or_else(none)
    }

    /// Names that an audit may lack, with their kinds.
    fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        fn named<'a>(
            kind: &'static str,
            names: &'a [String],
        ) -> impl Iterator<Item = (&'static str, &'a str)> {
            names.iter().map(move |name| (kind, name.as_str()))
        }
        named("variant", &self.variants)
            .chain(named("parameter", &self.parameters))
            .chain(named("strategy", &self.strategies))
            .chain(self.batches.iter().map(|id| ("batch", id.as_str())))
    }

    fn add(&mut self, kind: &str, name: &str, now: Timestamp) -> Result<(), SelectorError> {
        let owned = name.to_owned();
        match kind {
            "variant" => self.variants.push(owned),
            "operator" => {
                let known = Operator::ALL.into_iter().find(|one| one.as_str() == name);
                let near = || nearest(name, operators().into_iter()).map(ToOwned::to_owned);
                let unknown = || SelectorError::Operator { typed: owned, near: near() };
                self.operators.push(known.ok_or_else(unknown)?);
            }
            "parameter" => self.parameters.push(owned),
            "strategy" => self.strategies.push(owned),
            "batch" => self.batches.push(name.parse()?),
            "date" => match period(name, now) {
                Some(period) if period.is_backwards() => {
                    return Err(SelectorError::Backwards(owned));
                }
                Some(period) => self.dates.push(period),
                None => return Err(SelectorError::Date(owned)),
            },
            "path" => self.paths.push(PathBuf::from(name)),
            _ => {
                let near = nearest(kind, KEYS.into_iter()).map(ToOwned::to_owned);
                return Err(SelectorError::Kind { typed: kind.to_owned(), near });
            }
        }
        Ok(())
    }
}

/// A day, or from one moment up to another; either may be left out, and a last day is meant whole.
fn period(text: &str, now: Timestamp) -> Option<Period> {
    let Some((from, to)) = text.split_once("..") else {
        // A moment alone is no stretch of time.
        return match text.parse().ok()? {
            day @ Moment::Day(_) => {
                Some(Period { since: Some(day.begin(now)), until: Some(day.end(now)) })
            }
            Moment::At(_) | Moment::Ago(_) => None,
        };
    };
    let end = |text: &str| match text {
        "" => Some(None),
        text => text.parse::<Moment>().ok().map(Some),
    };
    let (from, to) = (end(from)?, end(to)?);
    (from.is_some() || to.is_some()).then(|| Period {
        since: from.map(|moment| moment.begin(now)),
        until: to.map(|moment| moment.end(now)),
    })
}
