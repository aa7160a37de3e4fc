//! The fact: one mutation attempt, as it stands in the audit log.

use crate::mutation::Operator;
use crate::units::{BatchId, MutationId, Number, Timestamp, nanos};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::time::Duration;

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new, valid candidate (and, with an evaluator, one that was evaluated).
    Success,
    /// Ten redraws gave the text that was there before.
    NoChange,
    /// Ten redraws gave values that were evaluated before; they are not evaluated again.
    Duplicate,
    /// A `[[constraint]]` did not hold.
    ConstraintViolated,
    /// The rendered candidate is no valid source with the logged value.
    InvalidSource,
    /// The evaluator ended with an error.
    EvaluatorFailed,
    /// The evaluator took too long and was ended.
    EvaluatorTimeout,
    /// The evaluator's answer was no fitness.
    EvaluatorOutputInvalid,
    /// It was valid and came to nothing; the ingested log does not say in which of these ways.
    Failed,
}

impl Outcome {
    /// All of them, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::Success,
        Self::NoChange,
        Self::Duplicate,
        Self::ConstraintViolated,
        Self::InvalidSource,
        Self::EvaluatorFailed,
        Self::EvaluatorTimeout,
        Self::EvaluatorOutputInvalid,
        Self::Failed,
    ];

    /// The name in audit and labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NoChange => "no_change",
            Self::Duplicate => "duplicate",
            Self::ConstraintViolated => "constraint_violated",
            Self::InvalidSource => "invalid_source",
            Self::EvaluatorFailed => "evaluator_failed",
            Self::EvaluatorTimeout => "evaluator_timeout",
            Self::EvaluatorOutputInvalid => "evaluator_output_invalid",
            Self::Failed => "failed",
        }
    }

    /// Whether the attempt gave a candidate.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Success)
    }

    /// Whether the candidate was valid source within its constraints, whatever an evaluator said.
    pub const fn is_valid(self) -> bool {
        match self {
            Self::Success
            | Self::Duplicate
            | Self::EvaluatorFailed
            | Self::EvaluatorTimeout
            | Self::EvaluatorOutputInvalid
            | Self::Failed => true,
            Self::NoChange | Self::ConstraintViolated | Self::InvalidSource => false,
        }
    }
}

/// One line of the audit log. The order of the fields is the order in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record<'a> {
    /// When the attempt ended.
    pub timestamp: Timestamp,
    /// The batch.
    pub batch_id: Cow<'a, BatchId>,
    /// Unique within the batch, rising.
    pub mutation_id: MutationId,
    /// From 1.
    pub round: u32,
    /// The strategy's path as the config gives it; of an ingested log, the log's.
    #[serde(borrow)]
    pub strategy: Cow<'a, str>,
    /// The literal's line in the strategy, from 1; of an ingested log, the line it was read from.
    pub line: u32,
    /// The parameter's name.
    #[serde(borrow)]
    pub parameter: Cow<'a, str>,
    /// How the value was proposed.
    pub operator: Operator,
    /// The A/B variant, where there are any.
    #[serde(borrow)]
    pub variant: Option<Cow<'a, str>>,
    /// The mutation that this one went on from; `None` for the source itself.
    #[serde(borrow)]
    pub parent: Option<Cow<'a, str>>,
    /// The value before; not a number, which JSON writes as null, where an ingested log has none.
    #[serde(deserialize_with = "Number::or_nan")]
    pub old_value: Number,
    /// The value proposed; equal to `old_value` where nothing changed, and null as that may be.
    #[serde(deserialize_with = "Number::or_nan")]
    pub new_value: Number,
    /// The proposal had left its bounds and was brought back, by whichever rule.
    pub clamped: bool,
    /// What became of it.
    pub outcome: Outcome,
    /// `outcome` is `success`.
    pub success: bool,
    /// The candidate was valid.
    pub validation_passed: bool,
    /// What went wrong, in words.
    #[serde(borrow)]
    pub error: Option<Cow<'a, str>>,
    /// What the evaluator said.
    pub fitness: Option<f64>,
    /// The mutation's own time, propose to validate; `None` where an ingested log does not say.
    #[serde(rename = "duration_ms", deserialize_with = "Option::deserialize")]
    pub duration: Option<Millis>,
    /// The evaluation's time.
    #[serde(rename = "evaluation_ms")]
    pub evaluation: Option<Millis>,
    /// What it changed besides the record's own parameter; not written where that is nothing.
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Also<'a>>,
}

/// A further parameter that a mutation changed. The order of the fields is the order in the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Also<'a> {
    /// The parameter's name.
    #[serde(borrow)]
    pub parameter: Cow<'a, str>,
    /// The literal's line in the strategy, from 1.
    pub line: u32,
    /// How the value was proposed.
    pub operator: Operator,
    /// The value before.
    pub old_value: Number,
    /// The value proposed.
    pub new_value: Number,
    /// The proposal had left its bounds and was brought back, by whichever rule.
    pub clamped: bool,
}

/// A duration that stands in JSON as milliseconds with up to six decimals, and so to the nanosecond.
///
/// Exact up to 2^51 ns (26 days); what the folds see is the same before writing and after reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(u64);

impl Millis {
    /// From nanoseconds, cut at 2^51.
    pub const fn from_nanos(nanos: u64) -> Self {
        const LIMIT: u64 = 1 << 51;
        Self(if nanos > LIMIT { LIMIT } else { nanos })
    }

    /// Nanoseconds.
    pub const fn nanos(self) -> u64 {
        self.0
    }
}

impl From<Duration> for Millis {
    fn from(duration: Duration) -> Self {
        Self::from_nanos(nanos(duration))
    }
}

impl Serialize for Millis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let millis = f64::deserialize(deserializer)?;
        if !(0.0..=1e13).contains(&millis) {
            return Err(serde::de::Error::custom(format!(
                "`{millis}` is not a duration in milliseconds"
            )));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be in 0..=1e13 just above"
        )]
        let nanos = (millis * 1e6).round() as u64;
        Ok(Self::from_nanos(nanos))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A success of the batch, for tests that care for some of its fields only.
    pub(crate) fn sample(batch_id: Cow<'_, BatchId>) -> Record<'_> {
        Record {
            timestamp: batch_id.start(),
            batch_id,
            mutation_id: MutationId(1),
            round: 1,
            strategy: "a.py".into(),
            line: 1,
            parameter: "stop_loss_pct".into(),
            operator: Operator::Lognormal,
            variant: None,
            parent: None,
            old_value: Number::Float(0.1),
            new_value: Number::Float(0.12),
            clamped: false,
            outcome: Outcome::Success,
            success: true,
            validation_passed: true,
            error: None,
            fitness: None,
            duration: Some(Millis::from_nanos(1500)),
            evaluation: None,
            also: Vec::new(),
        }
    }

    /// The example line of the design.
    const LINE: &str = r#"{"timestamp":"2026-11-23T02:00:00.123456Z","batch_id":"20261123T020000Z-7f3a9c","mutation_id":"exit_mut_000042","round":3,"strategy":"strategies/momentum.py","line":12,"parameter":"stop_loss_pct","operator":"lognormal","variant":null,"parent":null,"old_value":0.1,"new_value":0.12,"clamped":false,"outcome":"success","success":true,"validation_passed":true,"error":null,"fitness":null,"duration_ms":254.26,"evaluation_ms":null}"#;

    #[test]
    fn the_designs_example_reads_and_writes_byte_for_byte() {
        let record: Record<'_> = serde_json::from_str(LINE).unwrap();
        assert_eq!(record.duration.map(Millis::nanos), Some(254_260_000));
        assert_eq!(serde_json::to_string(&record).unwrap(), LINE);
    }

    #[test]
    fn integers_stay_integers() {
        let line = LINE.replace("\"old_value\":0.1", "\"old_value\":5");
        let record: Record<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(record.old_value, Number::Int(5));
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
    }

    #[test]
    fn what_an_ingested_log_does_not_say_is_null() {
        let line = LINE
            .replace("\"old_value\":0.1", "\"old_value\":null")
            .replace("\"duration_ms\":254.26", "\"duration_ms\":null");
        let record: Record<'_> = serde_json::from_str(&line).unwrap();
        assert!(record.old_value.to_f64().is_nan());
        assert_eq!(record.duration, None);
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
        let missing = line.replace("\"duration_ms\":null,", "");
        assert!(
            serde_json::from_str::<Record<'_>>(&missing).is_err(),
            "said to be unknown, or not at all"
        );
    }

    #[test]
    fn further_changes_are_the_last_field() {
        let also = r#","also":[{"parameter":"period","line":14,"operator":"gaussian","old_value":5,"new_value":7,"clamped":true}]}"#;
        let line = format!("{}{also}", &LINE[..LINE.len() - 1]);
        let record: Record<'_> = serde_json::from_str(&line).unwrap();
        assert_eq!(record.also.len(), 1);
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
    }

    proptest! {
        #[test]
        fn durations_come_back_to_the_nanosecond(nanos in 0_u64..=1 << 51) {
            let text = serde_json::to_string(&Millis::from_nanos(nanos)).unwrap();
            let read: Millis = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.nanos(), nanos);
        }
    }
}
