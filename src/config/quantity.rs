//! Durations and sizes as people write them, with a unit, read and written.

use bytesize::ByteSize;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;
use std::time::Duration;

/// A duration as typed: `"30s"`, `"6h"`, `"400d"`, `"500ms"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct DurationText(pub(super) Duration);

/// A number of bytes as typed: `"10GiB"`, `"500MB"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct SizeText(pub(super) u64);

/// A duration, or `"none"` where there may be no limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitText(pub(super) Option<Duration>);

impl<'de> Deserialize<'de> for DurationText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DurationVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for LimitText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LimitVisitor).map(Self)
    }
}

impl<'de> Deserialize<'de> for SizeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor).map(Self)
    }
}

struct DurationVisitor;

impl Visitor<'_> for DurationVisitor {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with a unit, like \"30s\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
        parse_duration(text)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Duration, E> {
        Err(bare_duration(&value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Duration, E> {
        Err(bare_duration(&value))
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = Option<Duration>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration with a unit, like \"6h\", or \"none\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if text == "none" { Ok(None) } else { parse_duration(text).map(Some) }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Err(bare_duration(&value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Err(bare_duration(&value))
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size with a unit, like \"10GiB\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        // `ByteSize` takes a number without a unit for bytes; here it is more likely a slip.
        let bare = text.parse::<f64>().is_ok();
        match text.parse::<ByteSize>() {
            Ok(size) if !bare => Ok(size.as_u64()),
            _ => Err(E::custom(format_args!(
                "`{text}` is no size; write a number and a unit, like \"10GiB\" or \"500MB\""
            ))),
        }
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
        Err(bare_size(&value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<u64, E> {
        Err(bare_size(&value))
    }
}

fn parse_duration<E: de::Error>(text: &str) -> Result<Duration, E> {
    humantime::parse_duration(text).map_err(|_| {
        E::custom(format_args!(
            "`{text}` is no duration; write a number and a unit, like \"30s\", \"500ms\", \"6h\" or \"400d\""
        ))
    })
}

fn bare_duration<E: de::Error>(value: &dyn fmt::Display) -> E {
    E::custom(format_args!("a duration needs a unit: `{value}` might be `\"{value}s\"`"))
}

fn bare_size<E: de::Error>(value: &dyn fmt::Display) -> E {
    E::custom(format_args!("a size needs a unit: `{value}` might be `\"{value}GiB\"`"))
}

/// The shortest text with one unit that reads back as the same duration.
pub(super) fn duration_text(duration: Duration) -> String {
    const UNITS: [(u128, &str); 7] = [
        (86_400_000_000_000, "d"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "m"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
        (1, "ns"),
    ];
    let nanos = duration.as_nanos();
    let fitting = UNITS.iter().find(|(unit, _)| nanos != 0 && nanos.is_multiple_of(*unit));
    fitting.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", nanos / unit))
}

/// The shortest text with one unit that reads back as the same number of bytes.
pub(super) fn size_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fitting = UNITS.iter().find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    fitting.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, serde::Deserialize)]
    struct Both {
        duration: DurationText,
        size: SizeText,
    }

    fn read(duration: &str, size: &str) -> Result<Both, String> {
        toml::from_str(&format!("duration = {duration}\nsize = {size}"))
            .map_err(|error: toml::de::Error| error.message().to_owned())
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanos in 0..u64::MAX / 2, bytes in 0..u64::MAX / 2) {
            let duration = Duration::from_nanos(nanos);
            let texts = (format!("{:?}", duration_text(duration)), format!("{:?}", size_text(bytes)));
            let both = read(&texts.0, &texts.1).unwrap();
            prop_assert_eq!(both.duration.0, duration);
            prop_assert_eq!(both.size.0, bytes);
        }
    }

    #[test]
    fn round_values_are_written_with_the_largest_unit() {
        assert_eq!(duration_text(Duration::from_hours(400 * 24)), "400d");
        assert_eq!(duration_text(Duration::from_secs(90)), "90s");
        assert_eq!(duration_text(Duration::from_millis(500)), "500ms");
        assert_eq!(duration_text(Duration::ZERO), "0s");
        assert_eq!(size_text(10 << 30), "10GiB");
        assert_eq!(size_text(1000), "1000B");
    }

    #[test]
    fn a_number_without_a_unit_is_answered_with_how_to_write_it() {
        let message = |duration, size| read(duration, size).unwrap_err();
        assert_eq!(message("30", "\"1B\""), "a duration needs a unit: `30` might be `\"30s\"`");
        assert_eq!(message("1.5", "\"1B\""), "a duration needs a unit: `1.5` might be `\"1.5s\"`");
        assert_eq!(message("\"1s\"", "10"), "a size needs a unit: `10` might be `\"10GiB\"`");
        assert!(message("\"30\"", "\"1B\"").starts_with("`30` is no duration; write"));
        assert!(message("\"1s\"", "\"10\"").starts_with("`10` is no size; write"));
        assert!(message("\"1s\"", "\"ten GiB\"").starts_with("`ten GiB` is no size; write"));
        assert!(message("\"-1s\"", "\"1B\"").starts_with("`-1s` is no duration; write"));
    }
}
