//! Delivery of the metrics to Pushgateways, or by remote write: which group is ours, one request, and how often it is
//! tried.
//!
//! What a gateway does, and what would break it for everyone, was measured; the types here refuse locally
//! whatever it would refuse or choke on, so that a value of [`Gateway`] or [`Body`] can be sent as it is.
//! Reading order: the group ([`GroupingKey`]), the place ([`Gateway`]), what is sent ([`Body`]), one attempt
//! ([`Client::attempt`] and its [`Outcome`]), the waits ([`RetryPolicy`]), the whole ([`deliver`], [`deliver_all`]).
//! What a gateway shows of our group can be read back ([`Shown`]).

mod grouping;
pub use grouping::{GroupingError, GroupingKey};

mod endpoint;
pub use endpoint::{Credentials, Gateway, GatewayError, GatewaySettings, Tls, checked_url};

mod check;
pub use check::ExpositionError;

mod remote_write;
pub(crate) use remote_write::TICK;
pub use remote_write::{Moment, Written};

mod body;
pub use body::{Body, Compression, Format};

mod outcome;
pub use outcome::{Outcome, Reason};

mod failure;

mod retry_after;

mod client;
pub use client::{Client, ClientError};

mod probe;
pub use probe::Probe;

mod text;

mod shown;
pub use shown::Shown;

mod retry;
pub use retry::{RetryPolicy, RetryPolicyError};

mod delivery;
pub use delivery::{Delivery, Ending, Schedule, Undelivered, deliver, deliver_all};

#[cfg(test)]
mod tests;
