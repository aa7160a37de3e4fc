//! The body of a push: the metrics, encoded, checked, perhaps packed. Encoded once, sent as often as needed.

use std::io::Write as _;

use hyper::body::Bytes;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder as _, ProtobufEncoder, TextEncoder};

use super::check::{self, ExpositionError};

/// The only protobuf type that a Pushgateway takes, to the letter.
const PROTOBUF_TYPE: &str =
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
/// The text format, as it is sent and asked for.
pub(super) const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

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

/// A complete body, ready to be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Body {
    bytes: Bytes,
    format: Format,
    compression: Compression,
}

impl Body {
    /// Encodes and packs. [`super::Gateway::body`] does it as one gateway wants it.
    pub fn new(
        families: &[MetricFamily],
        format: Format,
        compression: Compression,
    ) -> Result<Self, ExpositionError> {
        let plain = encode(families, format)?;
        let bytes = match compression {
            Compression::None => plain,
            Compression::Gzip => gzip(&plain)
                .map_err(|error| ExpositionError::Encoder { reason: error.to_string() })?,
        };
        Ok(Self { bytes: bytes.into(), format, compression })
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
        }
    }

    /// The value of `Content-Encoding`, where there is one. In lower case: a Pushgateway ignores `GZIP`.
    pub fn content_encoding(&self) -> Option<&'static str> {
        match self.compression {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
        }
    }

    /// A cheap handle on the same bytes, for one request.
    pub(super) fn share(&self) -> Bytes {
        self.bytes.clone()
    }
}

/// The metrics as bytes, checked; families without samples are left out.
pub fn encode(families: &[MetricFamily], format: Format) -> Result<Vec<u8>, ExpositionError> {
    let filled: Vec<&MetricFamily> =
        families.iter().filter(|family| !family.get_metric().is_empty()).collect();
    check::families(&filled)?;
    let mut bytes = Vec::new();
    for family in filled {
        let family = std::slice::from_ref(family);
        match format {
            Format::Protobuf => ProtobufEncoder::new().encode(family, &mut bytes),
            Format::Text => TextEncoder::new().encode(family, &mut bytes),
        }
        .map_err(|error| ExpositionError::Encoder { reason: error.to_string() })?;
    }
    Ok(bytes)
}

fn gzip(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(plain)?;
    packer.finish()
}
