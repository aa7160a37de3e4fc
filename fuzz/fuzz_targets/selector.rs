//! A selector's text: refused in words that repeat it, or what it is printed as is the same selector.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::strategy::{PythonVersion, Selector, Source};

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

/// Something of each kind of binding, for the selector to look for.
const SOURCE: &str = "x = 0.1\nclass A:\n    x: float = 1\n    roi = {\"60\": 0.5, 'x': [1, {'x': -2}]}\n\
    def __init__(self, x=3):\n        self.x = x\ny = dict(x=4)\nz = [('x', 5)]\n止损 = 0.1\n";

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match text.parse::<Selector>() {
        Ok(selector) => {
            let printed = selector.to_string();
            assert_eq!(printed.parse(), Ok(selector.clone()), "{text:?} as {printed:?}");
            assert_eq!(printed.parse::<Selector>().unwrap().to_string(), printed);
            let source = Source::parse(SOURCE.into(), PythonVersion::default()).unwrap();
            let _ = source.site(&selector, None);
        }
        Err(error) => assert!(error.to_string().contains(text)),
    }
}
