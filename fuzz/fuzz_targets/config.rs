//! A config's text: refused with a line and a column that are in it, or the config in force, printed, is itself.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::config::{Config, Environment};
use std::path::Path;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match parse(text) {
        Ok(config) => {
            let printed = config.to_toml();
            let again = parse(&printed).unwrap_or_else(|error| panic!("{error}\n{printed}"));
            assert_eq!(again.to_toml(), printed);
            assert_eq!(format!("{config:?}"), format!("{again:?}"));
            assert_eq!(config.digest(), again.digest());
        }
        Err(error) => {
            let error = error.to_string();
            let place = error.strip_prefix("agent.toml:").unwrap_or_else(|| panic!("{error}"));
            assert!(!error.contains(['\u{1b}', '\0', '\r']), "{error:?}");
            // `no strategies` is about the whole file and has no line.
            let mut numbers = place.split(':').map(str::parse::<usize>);
            if let (Some(Ok(line)), Some(Ok(column))) = (numbers.next(), numbers.next()) {
                assert!(1 <= line && line <= text.matches('\n').count() + 1, "{error}");
                assert!(1 <= column && column <= text.chars().count() + 1, "{error}");
            } else {
                assert!(place.starts_with(" no strategies"), "{error}");
            }
        }
    }
}

fn parse(text: &str) -> Result<Config, mutation_agent::config::ConfigError> {
    let environment = Environment { host_name: "night-1".to_owned(), ..Environment::default() };
    Config::parse(text, Path::new("agent.toml"), &environment)
}
