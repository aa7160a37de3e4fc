//! The body of a push: the metrics, encoded, checked, perhaps packed. Encoded once, sent as often as needed.

use std::io::Write as _;

use hyper::body::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{ProtobufEncoder, TextEncoder};

use super::check::{self, ExpositionError};
use super::grouping::GroupingKey;
use super::remote_write::{self, Moment, Written};
use crate::units::Timestamp;

/// The only protobuf type that a Pushgateway takes, to the letter.
const PROTOBUF_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// The text format, as it is sent and asked for.
pub(super) const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
const REMOTE_WRITE_TYPE: &str = "application/x-protobuf";

/// How the body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Delimited protobuf: safe on the real Pushgateway even when the connection breaks in the middle.
    #[default]
    Protobuf,
    /// The text exposition format, for VictoriaMetrics and others.
    Text,
    /// Remote write 1.0, for a Prometheus that is told of the metrics itself. Always packed with snappy.
    RemoteWrite,
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

/// A complete body, ready to be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    format: Format,
    compression: Compression,
    written: Written,
    newest: Option<Timestamp>,
}

impl Body {
    /// Encodes and packs; families without samples are left out. A Pushgateway has the labels of the group from the
    /// path, and is told no `moment`. [`super::Gateway::body`] does it as one gateway wants it.
    pub fn new(
        families: &[MetricFamily],
        format: Format,
        compression: Compression,
        grouping: &GroupingKey,
        moment: &Moment<'_>,
    ) -> Result<Self, ExpositionError> {
        let filled: Vec<&MetricFamily> =
            families.iter().filter(|family| !family.get_metric().is_empty()).collect();
        check::families(&filled)?;
        let (plain, written) = match format {
            Format::Protobuf => (encode(&filled, &ProtobufEncoder::new())?, Written::default()),
            Format::Text => (encode(&filled, &TextEncoder::new())?, Written::default()),
            Format::RemoteWrite => remote_write::encode(&filled, grouping, moment)?,
        };
        let bytes = match compression {
            Compression::None => plain,
            Compression::Gzip => gzip(&plain)
                .map_err(|error| ExpositionError::Encoder { reason: error.to_string() })?,
        };
        let newest = (format == Format::RemoteWrite).then(|| moment.end());
        Ok(Self { bytes: bytes.into(), format, compression, written, newest })
    }

    /// Remote write of nothing: it shows whether a receiver would take something.
    pub(super) fn nothing() -> Result<Self, ExpositionError> {
        Ok(Self {
            bytes: remote_write::nothing()?.into(),
            format: Format::RemoteWrite,
            compression: Compression::None,
            written: Written::default(),
            newest: None,
        })
    }

    /// The newest time of its samples, where they have times.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// The series that have a value in it, where they are written one by one.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// The bytes as they are sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value of `Content-Type`.
    pub fn content_type(&self) -> &'static str {
        match self.format {
            Format::Protobuf => PROTOBUF_TYPE,
            Format::Text => TEXT_TYPE,
            Format::RemoteWrite => REMOTE_WRITE_TYPE,
        }
    }

    /// The value of `Content-Encoding`, where there is one. In lower case: a Pushgateway ignores `GZIP`.
    pub fn content_encoding(&self) -> Option<&'static str> {
        match (self.format, self.compression) {
            (Format::RemoteWrite, _) => Some("snappy"),
            (Format::Protobuf | Format::Text, Compression::None) => None,
            (Format::Protobuf | Format::Text, Compression::Gzip) => Some("gzip"),
        }
    }

    /// A cheap handle on the same bytes, for one request.
    pub(super) fn share(&self) -> Bytes {
        self.bytes.clone()
    }
}

fn encode(
    families: &[&MetricFamily],
    encoder: &impl prometheus::Encoder,
) -> Result<Vec<u8>, ExpositionError> {
    let mut bytes = Vec::new();
    for family in families {
        encoder
            .encode(std::slice::from_ref(*family), &mut bytes)
            .map_err(|error| ExpositionError::Encoder { reason: error.to_string() })?;
    }
    Ok(bytes)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain)?;
    packer.finish()
}
