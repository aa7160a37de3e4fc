//! A strategy's bytes: refused with a place that is in them, or every site in them can be rewritten, and then the
//! literal alone has changed and reads back as the value.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::strategy::{Selector, Site, Source};
use mutation_agent::units::{Decimal, Number};
use std::num::NonZeroUsize;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

const SELECTORS: [&str; 12] = [
    "x",
    "stop_loss_pct",
    "take_profit_pct",
    "trailing_stop_offset",
    "holding_period_days",
    "A.x",
    "self.x",
    "MyStrategy.stoploss",
    "x[\"x\"]",
    "x[\"60\"]",
    "x[0]",
    "x[0][\"x\"]",
];

/// Mantissa and scale: both signs, whole and not, the very large and the very small.
const VALUES: [(i64, u8); 8] = [
    (0, 0),
    (12, 2),
    (-125, 3),
    (1200, 0),
    (-7, 0),
    (1, 18),
    (9_007_199_254_740_992, 0),
    (-9_007_199_254_740_992, 18),
];

pub(crate) fn check(data: &[u8]) {
    for version in ["3.7", "3.13"] {
        let source = match Source::parse(data.to_vec(), version.parse().unwrap()) {
            Ok(source) => source,
            Err(error) => {
                assert!(error.line() >= 1 && error.column() >= 1, "{error}");
                let lines = data.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
                assert!(error.line() as usize <= lines, "{error}, of {lines} lines");
                continue;
            }
        };
        assert_eq!(source.text().as_bytes(), data);
        for selector in SELECTORS {
            rewrite(&source, &selector.parse().unwrap());
        }
        rewrite_all(&source);
    }
}

/// As a candidate is made: every site at once.
fn rewrite_all(source: &Source) {
    let found = SELECTORS.iter().filter_map(|one| source.site(&one.parse().unwrap(), None).ok());
    let mut sites: Vec<Site> = found.collect();
    sites.sort_by_key(|site| site.range().start);
    sites.dedup_by_key(|site| site.range());
    let values = VALUES.map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap());
    let values: Vec<(&Site, Decimal)> = sites.iter().zip(values.into_iter().cycle()).collect();
    let (mut expected, mut rendered, mut done) = (String::new(), String::new(), 0);
    for (site, value) in &values {
        site.render(*value, &mut rendered);
        expected += &source.text()[done..site.range().start];
        expected += &rendered;
        done = site.range().end;
    }
    expected += &source.text()[done..];
    assert_eq!(source.rewrite(&values).unwrap(), expected);
}

fn rewrite(source: &Source, selector: &Selector) {
    for occurrence in [None, NonZeroUsize::new(1), NonZeroUsize::new(2)] {
        let site = match source.site(selector, occurrence) {
            Ok(site) => site,
            Err(reason) => {
                assert!(!reason.to_string().contains('\n'), "{reason}");
                continue;
            }
        };
        let text = source.text();
        assert_eq!(&text[site.range()], site.text());
        for (mantissa, scale) in VALUES {
            let value = Decimal::new(mantissa, scale).unwrap();
            let rewritten = source
                .rewrite(&[(&site, value)])
                .unwrap_or_else(|error| panic!("{value} for {:?}: {error}", site.text()));
            // Byte for byte the same before and after.
            let (before, after) = (&text[..site.range().start], &text[site.range().end..]);
            assert!(rewritten.starts_with(before) && rewritten.ends_with(after), "{rewritten:?}");
            let again = Source::parse(rewritten.into_bytes(), source.version()).unwrap();
            let read = again.site(selector, occurrence).unwrap();
            // What stood between a sign and its number is no part of a site that has no sign any more.
            assert!(read.range().start >= site.range().start);
            assert_eq!(again.text().len() - after.len(), read.range().end);
            match read.value() {
                Number::Int(read) => assert_eq!(Decimal::new(read, 0), Some(value.trimmed())),
                Number::Float(read) => {
                    // `-0` of an int is 0 to Python, and so is the sign of a zero to us.
                    let wanted = value.to_f64();
                    assert!(read.to_bits() == wanted.to_bits() || read == 0.0 && wanted == 0.0);
                }
            }
        }
    }
}
