//! The grouping key: which group of a gateway is ours, and how it is written in a path.
//!
//! A bad key does more than fail: an empty `instance` makes Pushgateway 1.5.1 and 1.11.2 refuse every push by
//! anyone and answer 500 on `/metrics`, and a path that it cleans up is another group. So keys are checked here.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters of RFC 3986. `+` is among the encoded ones: a Pushgateway reads it
/// as a plus either way, and what stands in front of one may not.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Label names that Prometheus itself writes.
const PROMETHEUS_OWN: [&str; 3] = ["job", "le", "quantile"];

/// The job and the labels that name our group.
///
/// `Display` shows it as a person writes a selector: `{job="exit_evolution",instance="night-1"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupingKey {
    job: String,
    labels: Vec<(String, String)>,
}

/// A grouping key that a gateway would refuse or, worse, choke on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupingError {
    /// A group has a job.
    #[error("the job must not be empty")]
    NoJob,
    /// Not a label name at all.
    #[error("`{name}` is no label name: letters, digits and `_`, not a digit first")]
    LabelName {
        /// The name as it was given.
        name: String,
    },
    /// Names of Prometheus' own.
    #[error(
        "the label name `{name}` belongs to Prometheus (`job`, `le`, `quantile`, and all that start with `__`)"
    )]
    PrometheusOwn {
        /// The name as it was given.
        name: String,
    },
    /// A gateway would overwrite our metrics' own label silently.
    #[error("the label name `{name}` is used by the metrics themselves")]
    Reserved {
        /// The name as it was given.
        name: String,
    },
    /// A group has one value for each label.
    #[error("the label `{name}` is there twice")]
    Duplicate {
        /// The name as it was given.
        name: String,
    },
    /// The one value that stops a whole gateway.
    #[error(
        "the label `instance` must not be empty: a Pushgateway then refuses every push by anyone; give it a value or leave it out"
    )]
    EmptyInstance,
}

impl GroupingKey {
    /// `job` and further labels, in the order given. `reserved` are label names that our metrics use.
    ///
    /// Values may be any text, an empty one too, `instance` aside.
    pub fn new(
        job: &str,
        labels: &[(String, String)],
        reserved: &[&str],
    ) -> Result<Self, GroupingError> {
        if job.is_empty() {
            return Err(GroupingError::NoJob);
        }
        for (index, (name, value)) in labels.iter().enumerate() {
            check_name(name, reserved)?;
            if labels[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(GroupingError::Duplicate { name: name.clone() });
            }
            if name == "instance" && value.is_empty() {
                return Err(GroupingError::EmptyInstance);
            }
        }
        Ok(Self { job: job.to_owned(), labels: labels.to_vec() })
    }

    /// The job.
    pub fn job(&self) -> &str {
        &self.job
    }

    /// The labels beside the job, in the order given.
    pub fn labels(&self) -> &[(String, String)] {
        &self.labels
    }

    /// The path of the group below a gateway's base URL, without a slash at either end: `metrics/job/…`.
    pub fn path(&self) -> String {
        let job = ("job", self.job.as_str());
        let labels = self.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<String> = std::iter::once(job)
            .chain(labels)
            .map(|(name, value)| {
                if needs_base64(value) {
                    format!("{name}@base64/{}", base64_segment(value))
                } else {
                    format!("{name}/{}", utf8_percent_encode(value, SEGMENT))
                }
            })
            .collect();
        format!("metrics/{}", pairs.join("/"))
    }

    /// Whether a sample must not carry this label because the gateway would overwrite it.
    pub(super) fn names(&self, label: &str) -> bool {
        label == "job" || self.labels.iter().any(|(name, _)| name == label)
    }
}

impl GroupingKey {
    /// The same key without labels that have no value.
    pub(super) fn without_empty(&self) -> Self {
        let mut key = self.clone();
        key.labels.retain(|(_, value)| !value.is_empty());
        key
    }
}

impl fmt::Display for GroupingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{job={:?}", self.job)?;
        for (name, value) in &self.labels {
            write!(f, ",{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

fn check_name(name: &str, reserved: &[&str]) -> Result<(), GroupingError> {
    let name_error = || name.to_owned();
    if !is_label_name(name) {
        return Err(GroupingError::LabelName { name: name_error() });
    }
    if name.starts_with("__") || PROMETHEUS_OWN.contains(&name) {
        return Err(GroupingError::PrometheusOwn { name: name_error() });
    }
    if reserved.contains(&name) {
        return Err(GroupingError::Reserved { name: name_error() });
    }
    Ok(())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`, the label names that every Prometheus and Pushgateway accepts.
pub(super) fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A `/` splits a segment even when it is written `%2F`; `.`, `..` and an empty segment are cleaned away by a
/// redirect to another group.
fn needs_base64(value: &str) -> bool {
    value.is_empty() || value == "." || value == ".." || value.contains('/')
}

/// URL-safe base64; an empty value is written `=`, since an empty segment would be cleaned away.
fn base64_segment(value: &str) -> String {
    if value.is_empty() { "=".to_owned() } else { URL_SAFE_NO_PAD.encode(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(job: &str, labels: &[(&str, &str)]) -> Result<GroupingKey, GroupingError> {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        GroupingKey::new(job, &labels, &["parameter"])
    }

    #[test]
    fn plain_values_stand_in_the_path_as_they_are() {
        let key =
            key("exit_evolution", &[("instance", "night-1.example"), ("env", "a~b")]).unwrap();
        assert_eq!(key.path(), "metrics/job/exit_evolution/instance/night-1.example/env/a~b");
    }

    #[test]
    fn values_that_a_path_cannot_carry_are_base64() {
        for (value, segment) in [
            ("", "="),
            (".", "Lg"),
            ("..", "Li4"),
            ("a/b", "YS9i"),
            ("a//b", "YS8vYg"),
            ("/?>", "Lz8-"),
        ] {
            assert_eq!(
                key("j", &[("env", value)]).unwrap().path(),
                format!("metrics/job/j/env@base64/{segment}")
            );
        }
        assert_eq!(key("a/b", &[]).unwrap().path(), "metrics/job@base64/YS9i");
    }

    #[test]
    fn everything_else_is_percent_encoded() {
        for (value, segment) in [
            ("a b", "a%20b"),
            ("a+b", "a%2Bb"),
            ("100%", "100%25"),
            ("%2F", "%252F"),
            ("é", "%C3%A9"),
            ("a\nb", "a%0Ab"),
            ("\0", "%00"),
            ("a?b#c", "a%3Fb%23c"),
            ("a\\b", "a%5Cb"),
            ("...", "..."),
            ("a=b", "a%3Db"),
        ] {
            assert_eq!(
                key("j", &[("env", value)]).unwrap().path(),
                format!("metrics/job/j/env/{segment}")
            );
        }
    }

    #[test]
    fn a_path_is_a_path_of_a_url_whatever_the_values() {
        for value in ["%2e", ".%2e", "\\..", "a\tb", "x:y@z", "\u{202e}", "😀"] {
            let path = key(value, &[("env", value)]).unwrap().path();
            let url = reqwest::Url::parse(&format!("http://h/{path}")).unwrap();
            assert_eq!(url.path(), format!("/{path}"));
        }
    }

    #[test]
    fn names_that_a_gateway_refuses_are_refused_here() {
        for name in ["", "9x", "a-b", "a b", "é", "a:b", "a@base64"] {
            assert_eq!(
                key("j", &[(name, "x")]),
                Err(GroupingError::LabelName { name: name.into() })
            );
        }
        for name in ["job", "le", "quantile", "__r", "__"] {
            assert_eq!(
                key("j", &[(name, "x")]),
                Err(GroupingError::PrometheusOwn { name: name.into() })
            );
        }
        assert_eq!(key("j", &[("_r", "x")]).map(|_| ()), Ok(()));
    }

    #[test]
    fn a_label_of_our_own_metrics_cannot_name_the_group() {
        let error = key("j", &[("parameter", "x")]).unwrap_err();
        assert_eq!(error, GroupingError::Reserved { name: "parameter".into() });
    }

    #[test]
    fn a_label_stands_once() {
        let error = key("j", &[("env", "x"), ("env", "x")]).unwrap_err();
        assert_eq!(error, GroupingError::Duplicate { name: "env".into() });
    }

    #[test]
    fn no_job_and_an_empty_instance_never_reach_a_gateway() {
        assert_eq!(key("", &[]), Err(GroupingError::NoJob));
        assert_eq!(key("j", &[("instance", "")]), Err(GroupingError::EmptyInstance));
    }

    #[test]
    fn people_see_a_selector() {
        let key = key("exit evolution", &[("instance", "a\"b")]).unwrap();
        assert_eq!(key.to_string(), r#"{job="exit evolution",instance="a\"b"}"#);
    }
}
