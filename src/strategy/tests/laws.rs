//! What holds for every literal and every value.

use super::{find, source};
use crate::strategy::{PythonVersion, Source};
use crate::units::{Decimal, Number};
use proptest::prelude::*;

/// Literals that Python accepts, in all their styles.
fn literal() -> impl Strategy<Value = String> {
    let digits = "[0-9]{1,6}|[0-9]{1,3}(_[0-9]{3}){1,3}|[0-9](_[0-9]{1,4}){1,2}";
    let point = (digits, digits, 0..4).prop_map(|(whole, decimals, form)| match form {
        0 => format!("{whole}."),
        1 => format!(".{decimals}"),
        _ => format!("{whole}.{decimals}"),
    });
    let float = (point, "|[eE][+-]?[0-9]{1,2}").prop_map(|(point, exponent)| point + &exponent);
    let int = "0|[1-9][0-9]{0,8}|[1-9][0-9]{0,2}(_[0-9]{3}){1,3}";
    let whole = (int, "|[eE][+-]?[0-9]{1,2}").prop_map(|(whole, exponent)| whole + &exponent);
    let sign = "|-|- |\\+|-\\(|-\t\\( |- # 1\n |-\\\\\n";
    (sign, prop_oneof![float, whole]).prop_map(|(sign, digits)| {
        let close = if sign.contains('(') { " )" } else { "" };
        format!("({sign}{digits}{close})")
    })
}

fn value() -> impl Strategy<Value = Decimal> {
    let mantissa = prop_oneof![-2000_i64..2000, -(1_i64 << 53)..=1 << 53];
    (mantissa, 0_u8..=18).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_rendered_reads_back_as_exactly_the_value(literal in literal(), value in value()) {
        let text = format!("a = 1 # 0.5\r\nb.x = {literal}  # 止损\r\nc = {literal}");
        let site = find(&text, "x", 0).unwrap();
        let rewritten = source(&text).rewrite(&[(&site, value)]).unwrap();
        match find(&rewritten, "x", 0).unwrap().value() {
            Number::Int(read) => prop_assert_eq!(Decimal::new(read, 0), Some(value.trimmed())),
            Number::Float(read) => prop_assert_eq!(read.to_bits(), value.to_f64().to_bits()),
        }
    }

    #[test]
    fn only_the_sites_bytes_change(literal in literal(), value in value()) {
        let text = format!("a = 1 # 0.5\r\nb.x = {literal}  # 止损\r\nc = {literal}");
        let site = find(&text, "x", 0).unwrap();
        let rewritten = source(&text).rewrite(&[(&site, value)]).unwrap();
        let mut rendered = String::new();
        site.render(value, &mut rendered);
        let (before, after) = (&text[..site.range().start], &text[site.range().end..]);
        prop_assert_eq!(rewritten, format!("{before}{rendered}{after}"));
        // Where the sign stays, so do the bytes between sign and digits.
        if site.text().starts_with('-') && value.mantissa() < 0 {
            let gap = |text: &str| text.split(|c: char| c.is_ascii_digit() || c == '.').next().map(str::to_owned);
            prop_assert_eq!(gap(&rendered), gap(site.text()));
        }
    }

    #[test]
    fn rendering_twice_is_rendering_once(literal in literal(), value in value(), other in value()) {
        let site = find(&format!("x = {literal}"), "x", 0).unwrap();
        let (mut once, mut twice) = (String::new(), String::new());
        site.render(value, &mut once);
        site.render(other, &mut twice);
        site.render(value, &mut twice);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Source::parse(bytes, PythonVersion::default());
    }

    #[test]
    fn no_fragments_of_python_make_it_panic(
        fragments in proptest::collection::vec(
            prop::sample::select(vec![
                "x", "=", "0.1", "-", "(", ")", "[", "]", "{", "}", ":", ",", "\n", "    ", "'x'",
                "f'{", "class A", "def f", "lambda", "*", "if ", "else", "match x", "case ", ".",
                ":=", "x=1", "self.x", "#", "\\\n", "\r", "\x0c", "止", "dict(", "\u{feff}", "'",
            ]),
            0..40,
        ),
    ) {
        let text: String = fragments.concat();
        if let Ok(source) = Source::parse(text.into(), PythonVersion::default()) {
            for selector in ["x", "A.x", "self.x", "x[\"x\"]", "x[1].x"] {
                if let Ok(site) = source.site(&selector.parse().unwrap(), None) {
                    let value = Decimal::new(-125, 2).unwrap();
                    prop_assert!(source.rewrite(&[(&site, value)]).is_ok());
                }
            }
        }
    }

    #[test]
    fn no_text_makes_a_selector_panic(text in "\\PC{0,20}|[a-z.\\[\\]\"'0-9-]{0,20}") {
        if let Ok(selector) = text.parse::<crate::strategy::Selector>() {
            prop_assert_eq!(selector.to_string().parse(), Ok(selector));
        }
    }
}
