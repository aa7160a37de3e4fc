//! The grouping key: which group of a gateway is ours, and how it is written in a path.

/// The job and the labels that name our group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupingKey {}

/// A grouping key that a gateway would refuse or, worse, choke on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {}

impl GroupingKey {
    /// `job` and further labels, in the order given. `reserved` are label names that our metrics use.
    pub fn new(
        job: &str,
        labels: &[(String, String)],
        reserved: &[&str],
    ) -> Result<Self, GroupingError> {
        let _ = (job, labels, reserved);
        Ok(Self {})
    }
}
