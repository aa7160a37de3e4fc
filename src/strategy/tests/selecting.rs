//! Which of several bindings a selector means.

use super::{Unusable, decimal, find, outcome, source};
use crate::strategy::check;
use crate::units::{Kind, Number};

const STRATEGY: &str = r#"
x = 1
class Base:
    x = 2
    class Inner:
        x = 3
class S(Base):
    if fast:
        x = 4
    roi = {"60": 0.1, 60: 0.2, "x": 5, -1: 0.3}
    params = (('x', 6), ('y', 7))
    def __init__(self, x=8):
        self.x: int = 9
        y = 10
        self.roi["60"] = 0.4
        self.risk = dict(x=11, deep={'x': 12})
        def inner():
            self.z = 13
            class Local:
                x = 14
config.x = 15
config["x"] = 16
config["risk"]["x"] = 17
roi = {"x": 18, 60: 0.5}
f(roi={"k": 19}, opts=dict([('k', 20)], m=21))
"#;

#[test]
fn a_selector_means_what_its_last_steps_say() {
    for (selector, expected) in [
        ("Base.x", "4:9 2"),
        ("Inner.x", "6:13 3"),
        ("Base.Inner.x", "6:13 3"),
        ("Local.x", "20:21 14"),
        ("S.Local.x", "not_found"),
        ("S.y", "11:31 7"),
        ("S.z", "18:22 13"),
        ("self.z", "18:22 13"),
        ("self.x", "13:23 9"),
        ("params.x", "11:21 6"),
        ("params[\"x\"]", "11:21 6"),
        ("S.params.y", "11:31 7"),
        ("S.roi['x']", "10:37 5"),
        ("S.roi.x", "10:37 5"),
        ("roi.x", "ambiguous [10, 24]"),
        ("roi[60]", "ambiguous [10, 24]"),
        ("S.roi[60]", "10:27 0.2"),
        ("roi[-1]", "10:44 0.3"),
        ("S.roi[\"60\"]", "ambiguous [10, 15]"),
        ("self.roi[\"60\"]", "15:26 0.4"),
        ("self.risk.x", "16:28 11"),
        ("risk[\"x\"]", "16:28 11"),
        ("S.risk[\"x\"]", "16:28 11"),
        ("deep[\"x\"]", "16:43 12"),
        ("risk['deep'].x", "16:43 12"),
        ("S.risk['deep']['x']", "16:43 12"),
        ("config.x", "21:12 15"),
        ("config[\"x\"]", "22:15 16"),
        ("config['risk']['x']", "23:23 17"),
        ("roi['k']", "25:13 19"),
        ("opts['k']", "25:35 20"),
        ("opts['m']", "25:43 21"),
        ("f.roi", "not_found"),
        ("S.S.x", "not_found"),
    ] {
        assert_eq!(outcome(STRATEGY, selector), expected, "{selector}");
    }
}

#[test]
fn a_class_has_its_attributes_those_of_self_and_their_entries_but_no_locals() {
    assert_eq!(outcome(STRATEGY, "S.x"), "ambiguous [9, 13]", "attributes go before entries");
    let text = "class S:\n    x = -0.1\n    def f(self, x=1):\n        x = 2\n        g(x=3)\n";
    assert_eq!(outcome(text, "S.x"), "2:9 -0.1");
}

#[test]
fn a_word_under_the_same_key_is_nobodys_number() {
    let text = "class S:\n    stoploss = -0.1\n    order_types = {'entry': 'limit', 'stoploss': 'market'}\n";
    for selector in ["S.stoploss", "stoploss"] {
        assert_eq!(outcome(text, selector), "2:16 -0.1", "{selector}");
    }
    let text = "class S:\n    buy_rsi = IntParameter(1, 9)\n    buy_params = {'buy_rsi': 30}\n";
    assert_eq!(outcome(text, "S.buy_params[\"buy_rsi\"]"), "3:30 30");
}

#[test]
fn freqtrade_and_backtrader_strategies_are_read_as_their_authors_do() {
    let freqtrade = "class MyStrategy(IStrategy):
    stoploss = -0.10
    minimal_roi = {\n        \"60\": 0.01,\n        \"0\": 0.04\n    }
    buy_rsi = IntParameter(10, 40, default=30)
";
    assert_eq!(outcome(freqtrade, "MyStrategy.stoploss"), "2:16 -0.10");
    assert_eq!(outcome(freqtrade, "minimal_roi[\"60\"]"), "4:15 0.01");
    assert_eq!(outcome(freqtrade, "MyStrategy.minimal_roi[\"0\"]"), "5:14 0.04");
    assert_eq!(outcome(freqtrade, "buy_rsi"), "not_numeric 7 IntParameter(10, 40, default=30)");
    let backtrader = "class St(bt.Strategy):
    params = (('stop_loss', 0.02), ('period', 15),)
    def next(self):
        if self.p.stop_loss > 0.05: pass
";
    for selector in ["stop_loss", "St.stop_loss", "params.stop_loss", "St.params.stop_loss"] {
        assert_eq!(outcome(backtrader, selector), "2:29 0.02");
    }
}

#[test]
fn an_occurrence_counts_every_binding_in_the_order_of_the_source() {
    let text = "x = 1\ny = f(x=2)\nx = f()\nx = x = 4\n";
    let nth = |occurrence| find(text, "x", occurrence);
    assert_eq!(nth(1).unwrap().text(), "1");
    assert_eq!(nth(2).unwrap().text(), "2");
    assert_eq!(nth(3).unwrap_err().as_str(), "not_numeric_literal");
    assert_eq!(nth(4).unwrap().text(), "4");
    let error = nth(5).unwrap_err();
    assert_eq!(error.as_str(), "not_found");
    assert_eq!(
        error.to_string(),
        "`occurrence` is 5, but there are 4 bindings, on lines 1, 2, 3 and 4; set 1 to 4"
    );
    assert_eq!(find("x = 1", "y", 1).unwrap_err(), Unusable::NotFound);
}

#[test]
fn names_are_compared_after_normalisation_as_in_python() {
    assert_eq!(outcome("ﬁt = 1\n", "fit"), "1:6 1");
    assert_eq!(outcome("止损 = 0.1\n", "止损"), "1:6 0.1");
}

#[test]
fn a_site_knows_its_place_text_and_value() {
    let site = find("a = 1\n  \nb = (-\t0.10)\n", "b", 0).unwrap();
    assert_eq!((site.line(), site.column(), site.text()), (3, 6, "-\t0.10"));
    assert_eq!(site.value(), Number::Float(-0.1));
    for (text, value) in [
        ("1_000", Number::Int(1000)),
        ("-9223372036854775808", Number::Int(i64::MIN)),
        ("9223372036854775808", Number::Float(9_223_372_036_854_775_808.0)),
        ("1_0000_0000_0000_0000_0000", Number::Float(1e20)),
        ("1e3", Number::Float(1000.0)),
        ("1e999", Number::Float(f64::INFINITY)),
        ("+5.", Number::Float(5.0)),
        ("00", Number::Int(0)),
    ] {
        assert_eq!(find(&format!("x = {text}"), "x", 0).unwrap().value(), value, "{text}");
    }
}

#[test]
fn types_and_bounds_are_checked() {
    let verdict = |literal: &str, kind, min: &str, max: &str| {
        let site = find(&format!("x = {literal}"), "x", 0).unwrap();
        check(&site, kind, decimal(min), decimal(max)).map_err(|error| error.to_string())
    };
    assert_eq!(verdict("0.1", Kind::Float, "0.1", "0.2"), Ok(()));
    assert_eq!(verdict("1", Kind::Float, "0.5", "2"), Ok(()));
    assert_eq!(verdict("-5", Kind::Int, "-5", "5"), Ok(()));
    assert_eq!(
        verdict("30.5", Kind::Int, "1", "60").unwrap_err(),
        "line 1: `30.5` is a float literal for an int parameter; write a whole number there, or set `type = \"float\"`"
    );
    assert!(verdict("30.0", Kind::Int, "1", "60").is_err());
    assert!(verdict("3e1", Kind::Int, "1", "60").is_err());
    assert_eq!(
        verdict("10", Kind::Float, "0.01", "0.20").unwrap_err(),
        "line 1: 10 is outside of 0.01 to 0.2; correct the value or the bounds"
    );
    assert!(verdict("1e999", Kind::Float, "0", "1").is_err());
    assert!(verdict("99999999999999999999", Kind::Int, "0", "1").is_err());
}

#[test]
fn every_reason_has_a_name_of_the_list() {
    let lines = vec![1, 3, 3];
    let (text, message) = (String::new(), "m".to_owned());
    let (min, max) = (decimal("0"), decimal("1"));
    let reasons = [
        Unusable::NotFound,
        Unusable::Ambiguous { lines: lines.clone() },
        Unusable::NotNumericLiteral { line: 1, text: text.clone() },
        Unusable::TypeMismatch { line: 1, text },
        Unusable::StartOutOfBounds { line: 1, value: Number::Int(5), min, max },
        Unusable::InvalidSource { message: message.clone() },
        Unusable::Unreadable { message },
    ];
    assert_eq!(reasons.each_ref().map(Unusable::as_str), Unusable::NAMES);
    assert_eq!(
        reasons[1].to_string(),
        "there are 3 bindings, on lines 1 and 3; set `occurrence` to 1 to 3, or a narrower `target`"
    );
}

#[test]
fn deep_sources_are_walked_without_recursion() {
    let chain = format!("{}x = 0.1\ny = {}1\n", "a.".repeat(1400), "1 + ".repeat(2900));
    assert_eq!(source(&chain).site(&"y".parse().unwrap(), None).unwrap_err().line(), Some(2));
    assert_eq!(outcome(&chain, "x"), format!("1:{} 0.1", 2 * 1400 + 5));
    let nested = format!("y = {}{{'x': 1}}{}\n", "[".repeat(198), "]".repeat(198));
    assert_eq!(outcome(&nested, "x"), "1:209 1");
}
