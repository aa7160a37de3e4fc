//! Which shard of the strategies is meant: what was asked for, and what the surroundings of a job array say.

use crate::units::{Shard, ShardError};
use std::str::FromStr;

/// One shard, or all strategies whatever the surroundings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `none`.
    Whole,
    /// `3/8`.
    One(Shard),
}

impl FromStr for Choice {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self::Whole) } else { text.parse().map(Self::One) }
    }
}

/// Surroundings that do not say which shard is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// Not a number, or no shard of so many.
    #[error("{variable} is `{value}`: {why}")]
    Variable {
        /// Its name.
        variable: &'static str,
        /// What it is.
        value: String,
        /// What it should be.
        why: String,
    },
    /// A number of shards, and nothing that says which.
    #[error(
        "`--shards {0}` does not say which of them: start it as an Indexed Job of Kubernetes or an array of Slurm, or \
         give `--shard I/{0}`"
    )]
    Which(u32),
    /// One of several, and nothing says of how many.
    #[error(
        "JOB_COMPLETION_INDEX says that this is one of several, and not of how many: give `--shards N`, or \
         `--shard none` for all strategies in each"
    )]
    HowMany,
    /// An array that is not counted from 0 or 1 on without a gap: part of another one, perhaps.
    #[error(
        "the Slurm array {min}-{max} of {count} tasks is not one of all shards, counted from 0 or 1 on: say by \
         `--shard I/N` which one this is, or give `--shard none` for all strategies in each"
    )]
    Array {
        /// Its first index.
        min: u32,
        /// Its last.
        max: u32,
        /// How many tasks it has.
        count: u32,
    },
    /// Slurm sets it beside the others.
    #[error(
        "SLURM_ARRAY_TASK_ID is set, and {0} is not: say by `--shard I/N` which shard is meant"
    )]
    Unset(&'static str),
    /// Perhaps part of an array of before.
    #[error(
        "the Slurm array has {count} tasks, and `--shards` says {shards}: say by `--shard I/{shards}` which one this is"
    )]
    Other {
        /// Tasks of the array.
        count: u32,
        /// What was asked for.
        shards: u32,
    },
    /// Both say that this is one of several.
    #[error(
        "both JOB_COMPLETION_INDEX and SLURM_ARRAY_TASK_ID are set: say which shard is meant by `--shard I/N`"
    )]
    Both,
}

const INDEX: &str = "JOB_COMPLETION_INDEX";
const TASK: &str = "SLURM_ARRAY_TASK_ID";

/// The shard that is meant by the command line and by `variable`, which reads the environment; `None` where all
/// strategies are.
pub(super) fn shard(
    asked: Option<Choice>,
    shards: Option<u32>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Shard>, FleetError> {
    let number = |name: &'static str| {
        let Some(value) = variable(name) else { return Ok(None) };
        let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| value.parse::<u32>().ok()).flatten();
        let why = "it should be a whole number; `--shard I/N` says which shard is meant".to_owned();
        number.map(Some).ok_or(FleetError::Variable { variable: name, value, why })
    };
    match asked {
        Some(Choice::Whole) => return Ok(None),
        Some(Choice::One(shard)) => return Ok(Some(shard)),
        None => {}
    }
    let of = |name, index: u32, count| {
        let shard = Shard::new(index, count).map_err(|error| FleetError::Variable {
            variable: name,
            value: variable(name).unwrap_or_default(),
            why: error.to_string(),
        });
        shard.map(Some)
    };
    match (number(INDEX)?, number(TASK)?, shards) {
        (None, None, None) => Ok(None),
        (None, None, Some(shards)) => Err(FleetError::Which(shards)),
        (Some(_), Some(_), _) => Err(FleetError::Both),
        (Some(_), None, None) => Err(FleetError::HowMany),
        (Some(index), None, Some(shards)) => of(INDEX, index, shards),
        (None, Some(task), shards) => {
            let known = |name| number(name)?.ok_or(FleetError::Unset(name));
            let (min, max) = (known("SLURM_ARRAY_TASK_MIN")?, known("SLURM_ARRAY_TASK_MAX")?);
            let count = known("SLURM_ARRAY_TASK_COUNT")?;
            if let Some(shards) = shards.filter(|shards| *shards != count) {
                return Err(FleetError::Other { count, shards });
            }
            let is_whole = u64::from(max) + 1 == u64::from(min) + u64::from(count);
            // A task alone is more likely one of before that is run again.
            let is_alone = count < 2 && shards.is_none();
            if min > 1 || !is_whole || is_alone || !(min..=max).contains(&task) {
                return Err(FleetError::Array { min, max, count });
            }
            of(TASK, task - min, count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is made of the environment, and of `--shards`.
    fn told(environment: &[(&str, &str)], shards: Option<u32>) -> Result<Option<Shard>, String> {
        let variable = |name: &str| {
            environment
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        shard(None, shards, &variable).map_err(|error| error.to_string())
    }

    fn array(task: &str, min: &str, max: &str, count: &str) -> Result<Option<Shard>, String> {
        let names = ["_ID", "_MIN", "_MAX", "_COUNT"].map(|end| format!("SLURM_ARRAY_TASK{end}"));
        let values = [task, min, max, count];
        let all: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
        told(&all, None)
    }

    fn of(index: u32, count: u32) -> Shard {
        Shard::new(index, count).unwrap()
    }

    #[test]
    fn without_a_word_all_strategies_are_meant() {
        assert_eq!(told(&[], None), Ok(None));
    }

    #[test]
    fn what_is_asked_for_goes_before_the_surroundings() {
        let everywhere = |_: &str| Some("7".to_owned());
        assert_eq!(shard(Some(Choice::Whole), None, &everywhere), Ok(None));
        let third = "2/4".parse().unwrap();
        assert_eq!(shard(Some(third), None, &everywhere), Ok(Shard::new(2, 4).ok()));
    }

    #[test]
    fn an_indexed_job_says_which_and_the_command_line_of_how_many() {
        assert_eq!(told(&[(INDEX, "3")], Some(8)), Ok(Some(of(3, 8))));
        assert!(told(&[(INDEX, "3")], None).unwrap_err().contains("`--shards N`"));
        assert!(told(&[], Some(8)).unwrap_err().contains("`--shard I/8`"));
        assert_eq!(
            told(&[(INDEX, "8")], Some(8)).unwrap_err(),
            "JOB_COMPLETION_INDEX is `8`: 8 shards are 0/8 to 7/8; there is no 8/8"
        );
        for odd in ["x", "", "+1", " 1"] {
            let error = told(&[(INDEX, odd)], Some(8)).unwrap_err();
            assert!(error.contains(&format!("is `{odd}`: it should be")), "{error}");
        }
    }

    #[test]
    fn an_array_of_slurm_says_both_whether_it_counts_from_0_or_1() {
        assert_eq!(array("0", "0", "7", "8"), Ok(Some(of(0, 8))));
        assert_eq!(array("7", "0", "7", "8"), Ok(Some(of(7, 8))));
        assert_eq!(array("1", "1", "8", "8"), Ok(Some(of(0, 8))));
        assert_eq!(array("8", "1", "8", "8"), Ok(Some(of(7, 8))));
    }

    #[test]
    fn an_array_that_may_be_part_of_another_has_to_say_of_how_many() {
        for (task, min, max, count) in
            [("7", "7", "7", "1"), ("2", "2", "5", "4"), ("4", "0", "6", "4"), ("0", "0", "0", "1")]
        {
            let error = array(task, min, max, count).unwrap_err();
            assert!(error.contains("`--shard I/N`"), "{error}");
        }
        // Nor is one of other than the shards that are said to be there.
        let names = ["_ID", "_MIN", "_MAX", "_COUNT"].map(|end| format!("SLURM_ARRAY_TASK{end}"));
        let all: Vec<_> = names.iter().map(String::as_str).zip(["2", "1", "4", "4"]).collect();
        assert_eq!(told(&all, Some(4)), Ok(Some(of(1, 4))));
        assert!(told(&all, Some(8)).unwrap_err().contains("has 4 tasks, and `--shards` says 8"));
        assert!(told(&[(TASK, "7")], Some(8)).is_err());
        assert!(array("0", "1", "4", "4").is_err(), "a task outside of its array");
    }

    #[test]
    fn two_that_speak_at_once_are_refused() {
        assert_eq!(told(&[(TASK, "1"), (INDEX, "1")], Some(8)), Err(FleetError::Both.to_string()));
    }
}
