//! The bytes of a `state.json`: corrupt, or refused, or its totals can be shown and counted on, and saved, it loads as
//! itself.

#![cfg_attr(fuzzing, no_main)]

use mutation_agent::metrics::{Exposition, Statistics, encode_text};
use mutation_agent::state::{StateError, Store};

#[path = "../support/home.rs"]
mod home;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

pub(crate) fn check(data: &[u8]) {
    let home = home::home();
    let store = Store::new(home.path());
    std::fs::write(store.path(), data).unwrap();
    match store.load() {
        Ok(None) => panic!("it is there"),
        Ok(Some(Err(error))) => assert!(!error.to_string().is_empty()),
        Ok(Some(Ok(mut state))) => {
            store.save(&state).unwrap();
            assert!(store.load().unwrap().unwrap().unwrap() == state, "it changes by being saved");
            let _ = encode_text(&Exposition::new(&state.totals).gather());
            let _ = serde_json::to_string(&Statistics::of(state.totals.tally())).unwrap();
            let gateways: Vec<String> = state.gateways.keys().cloned().collect();
            for gateway in gateways {
                let _ = state.is_delivered(&gateway, "http://127.0.0.1:9");
                state.mark(&gateway, "http://127.0.0.1:9", Ok(()));
                assert!(state.is_delivered(&gateway, "http://127.0.0.1:9"));
            }
        }
        Err(StateError::Newer { found, .. }) => assert!(found > 1),
        Err(error @ StateError::Disk(_)) => panic!("{error}"),
    }
}
