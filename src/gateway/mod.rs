//! Delivery of the metrics: the grouping key, the client, the retry, the delivery marks.

use crate::units::Secret;
use std::time::Duration;

mod grouping;
pub use grouping::{GroupingError, GroupingKey};

/// How the body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Delimited protobuf: safe on the real Pushgateway even when the connection breaks in the middle.
    #[default]
    Protobuf,
    /// The text exposition format, for VictoriaMetrics and others.
    Text,
}

/// How the body is packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    #[default]
    None,
    /// `Content-Encoding: gzip`.
    Gzip,
}

/// Who we say we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody.
    #[default]
    None,
    /// Basic authentication.
    Basic {
        /// The user's name, without a colon.
        user: String,
        /// The password.
        password: Secret,
    },
    /// `Authorization: Bearer …`.
    Bearer {
        /// The token.
        token: Secret,
    },
}

/// PEM texts for TLS, read by the config.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<Vec<u8>>,
    /// The client's certificate chain followed by its private key.
    pub identity: Option<Secret>,
}

/// One gateway, checked: nothing here can make a request that a gateway would choke on.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The value of the label `gateway`; unique in a config. Without credentials.
    pub name: String,
    /// Base URL, http or https, without credentials, query or fragment.
    pub url: reqwest::Url,
    /// Grouping key.
    pub grouping: GroupingKey,
    /// Body format.
    pub format: Format,
    /// Body compression.
    pub compression: Compression,
    /// Authentication.
    pub credentials: Credentials,
    /// TLS material.
    pub tls: Tls,
}

/// How long to wait between attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    initial: Duration,
    max: Duration,
    multiplier: f64,
}

/// Why the three numbers are no policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RetryPolicyError {
    /// Nothing to wait.
    #[error("`initial` must be more than 0 and at most `max`")]
    Initial,
    /// Waits must not shrink.
    #[error("`multiplier` must be a number from 1 to 100")]
    Multiplier,
}

impl RetryPolicy {
    /// Waits of up to `initial`, then `multiplier` times as much each time, `max` at the most.
    pub fn new(
        initial: Duration,
        max: Duration,
        multiplier: f64,
    ) -> Result<Self, RetryPolicyError> {
        if initial.is_zero() || initial > max {
            return Err(RetryPolicyError::Initial);
        }
        if !(1.0..=100.0).contains(&multiplier) {
            return Err(RetryPolicyError::Multiplier);
        }
        Ok(Self { initial, max, multiplier })
    }
}
