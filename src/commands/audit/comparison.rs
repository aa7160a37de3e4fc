//! What a gateway shows beside what the audit has, series by series.

use crate::audit::Report;
use crate::gateway::{Client, Format, Reason, Shown};
use crate::metrics::{
    BatchSummary, Buckets, FAMILIES, FamilyKind, Samples, Series, Totals, folded_samples, is_fold,
    same,
};
use crate::state::State;
use serde::Serialize;
use std::collections::BTreeSet;

/// One gateway, compared.
#[derive(Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) gateway: String,
    pub(super) result: Verdict,
    /// What to do or why not, in words.
    pub(super) message: String,
    /// How many series were compared.
    pub(super) series: usize,
    pub(super) differences: Vec<SeriesDifference>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Equal,
    Differs,
    NoGroup,
    NotAPushgateway,
    Unreachable,
}

/// One series that is not what it should be.
#[derive(Debug, Serialize)]
pub(super) struct SeriesDifference {
    pub(super) series: String,
    /// `None` where it is not shown.
    pub(super) shown: Option<f64>,
    /// `None` where the series is none of ours.
    pub(super) audit: Option<f64>,
    /// While a batch is open: with its whole lines.
    pub(super) up_to: Option<f64>,
    #[serde(skip)]
    order: (bool, usize),
}

/// What the audit has: the sealed batches, and with the whole lines of an open one.
pub(super) struct Expected {
    sealed: Samples,
    with_open: Option<Samples>,
    is_empty: bool,
    is_sound: bool,
    /// Batches in `sealed`.
    ended: u64,
}

impl Expected {
    pub(super) fn of(report: &Report) -> Self {
        let totals = report.totals.clone().unwrap_or_else(|| Totals::new(Buckets::default()));
        let mut with_open = totals.clone();
        for open in &report.open {
            with_open.fold(&BatchSummary::new(open.id.clone(), open.tally.clone()));
        }
        Self {
            sealed: folded_samples(&totals),
            with_open: (!report.open.is_empty()).then(|| folded_samples(&with_open)),
            is_empty: report.totals.is_none() && report.open.is_empty(),
            is_sound: report.findings.is_empty(),
            ended: totals.ended(),
        }
    }

    /// Compares with what a gateway shows.
    pub(super) fn compare(
        &self,
        client: &Client,
        shown: Shown,
        state: Option<&State>,
    ) -> Comparison {
        let gateway = client.gateway().name().to_owned();
        let group = client.gateway().group();
        // After a kill between the seal and the state, the newest batch waits to be counted.
        let delivered = state.is_none_or(|state| {
            state.is_delivered(&gateway, group) && state.totals.ended() == self.ended
        });
        let of = |result, message: String| Comparison {
            gateway: gateway.clone(),
            result,
            message,
            series: 0,
            differences: Vec::new(),
        };
        let samples = match shown {
            Shown::Unreachable(reason) => {
                let advice = reason.advice(client.gateway().format());
                let advice = advice.map_or(String::new(), |advice| format!("; {advice}"));
                return of(Verdict::Unreachable, format!("cannot be asked: {reason}{advice}"));
            }
            Shown::NotAPushgateway(reason) => {
                let (verdict, message) = elsewhere(client, &reason, delivered);
                return of(verdict, message);
            }
            Shown::WriteOnly => {
                let message =
                    "not compared: what was written by remote write is not asked for again";
                let (verdict, message) = uncompared(message.to_owned(), delivered);
                return of(verdict, message);
            }
            Shown::NoGroup if self.is_empty => {
                return of(Verdict::Equal, "shows nothing, and there is nothing".to_owned());
            }
            Shown::NoGroup => {
                let key = client.gateway().grouping();
                let message =
                    format!("shows nothing of {key}; `mutation-agent push --all` delivers");
                return of(Verdict::NoGroup, message);
            }
            Shown::Group(samples) => samples,
        };
        let differences = self.differences(&samples);
        let result = if differences.is_empty() { Verdict::Equal } else { Verdict::Differs };
        let message = match (result, self.with_open.is_some(), delivered) {
            (Verdict::Equal, false, _) => "shows what the audit has".to_owned(),
            (Verdict::Equal, true, _) => {
                "shows what the sealed batches have, or with lines of the open one".to_owned()
            }
            (_, _, _) if !self.is_sound => {
                "the audit is not as it was written: look at that first".to_owned()
            }
            (_, true, _) => "a batch is open, and its next push may put this right".to_owned(),
            (_, false, false) => {
                "it has not taken the newest totals yet: `mutation-agent push` delivers".to_owned()
            }
            (_, false, true) => format!(
                "it had taken the newest totals; if nobody else pushes to {}, `mutation-agent push --all` puts it right",
                client.gateway().grouping()
            ),
        };
        Comparison { series: self.sealed.len(), differences, ..of(result, message) }
    }

    fn differences(&self, shown: &Samples) -> Vec<SeriesDifference> {
        let empty = Samples::new();
        let others = self.with_open.as_ref().unwrap_or(&empty);
        let all: BTreeSet<&Series> =
            self.sealed.keys().chain(others.keys()).chain(shown.keys()).collect();
        let mut found: Vec<SeriesDifference> =
            all.into_iter().filter_map(|series| self.difference(series, shown)).collect();
        found.sort_by_key(|one| one.order);
        found
    }

    fn difference(&self, series: &Series, shown: &Samples) -> Option<SeriesDifference> {
        let found = shown.get(series).copied();
        let Some((order, kind)) = family_of(&series.name) else {
            // A family that is none of ours, in a group that is.
            let order = (true, FAMILIES.len());
            return Some(SeriesDifference {
                series: series.to_string(),
                shown: found,
                audit: None,
                up_to: None,
                order,
            });
        };
        if !is_fold(FAMILIES[order].name) {
            return None;
        }
        let number = |value: Option<f64>| value.unwrap_or(0.0);
        let low = number(self.sealed.get(series).copied());
        let value = number(found);
        let high = match &self.with_open {
            None => None,
            // What is of the last batch, or the best so far, moves as it likes.
            Some(_) if kind == FamilyKind::Gauge => return None,
            Some(samples) => Some(number(samples.get(series).copied())),
        };
        let is_right = match high {
            None => same(value, low),
            Some(high) => same(value, low) || same(value, high) || (low < value && value < high),
        };
        let up_to = high.filter(|high| !same(*high, low));
        let order = (series.name.ends_with("_bucket"), order);
        (!is_right).then(|| SeriesDifference {
            series: series.to_string(),
            shown: found,
            audit: Some(low),
            up_to,
            order,
        })
    }
}

/// The family that a series is of: its place in the list, and what it is.
fn family_of(name: &str) -> Option<(usize, FamilyKind)> {
    let place = |name: &str| FAMILIES.iter().position(|family| family.name == name);
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
    let histogram = part.and_then(place).filter(|at| FAMILIES[*at].kind == FamilyKind::Histogram);
    let at = histogram.or_else(|| place(name))?;
    Some((at, FAMILIES[at].kind))
}

impl SeriesDifference {
    /// `exit_mutations_total shows 240, the audit has 250: 10 less`.
    pub(super) fn in_words(&self) -> String {
        let series = &self.series;
        let Some(low) = self.audit else {
            return format!("{series} is shown in our group and is none of ours");
        };
        let shown = self.shown.map_or("nothing".to_owned(), |shown| shown.to_string());
        let high = self.up_to.unwrap_or(low);
        let range = self.up_to.map_or(String::new(), |up_to| format!(" to {up_to}"));
        let value = self.shown.unwrap_or(0.0);
        let by = if value < low { low - value } else { value - high };
        let word = if value < low { "less" } else { "more" };
        let by = if by.is_finite() { format!(": {} {word}", rounded(by)) } else { String::new() };
        format!("{series} shows {shown}, the audit has {low}{range}{by}")
    }
}

/// A difference of two sums of seconds has noise in its last digits.
fn rounded(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

/// What there is to say of an address at which no Pushgateway answers.
fn elsewhere(client: &Client, reason: &Reason, delivered: bool) -> (Verdict, String) {
    if client.gateway().format() == Format::Protobuf {
        let message = format!(
            "cannot be asked: only a Pushgateway takes protobuf, and it does not answer as one: {reason}"
        );
        return (Verdict::Unreachable, message);
    }
    let message = format!("not compared: it does not show groups as a Pushgateway does: {reason}");
    uncompared(message, delivered)
}

/// Of what shows nothing, only the state says whether it is up to date.
fn uncompared(message: String, delivered: bool) -> (Verdict, String) {
    if delivered {
        return (Verdict::NotAPushgateway, message);
    }
    let later = "it has not taken the newest totals yet: `mutation-agent push` delivers";
    (Verdict::Differs, format!("{message}; {later}"))
}
