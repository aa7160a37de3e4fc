//! The first proposals of every operator for one seed. A change here means that a batch of an
//! earlier version can no longer be replayed: it belongs in the changelog, and into `Streams`' tag.

use super::{float, int, mutator};
use crate::mutation::{Domain, Operator, Streams, Weights};
use std::fmt::Write as _;

fn walk(domain: &Domain, operator: Operator, mut current: f64) -> String {
    let mutator = mutator(domain.clone(), operator);
    let streams = Streams::new(42, 1, "strategies/momentum.py");
    let mut line = format!("{operator}:");
    for attempt in 0..8 {
        let proposal = mutator.propose(current, &mut streams.attempt(attempt));
        let mark = if proposal.clamped { "*" } else { "" };
        write!(line, " {}{mark}", proposal.value).unwrap();
        current = proposal.value.to_f64();
    }
    line
}

fn walks(domain: &Domain, current: f64) -> String {
    Operator::ALL.map(|operator| walk(domain, operator, current)).join("\n")
}

#[test]
fn the_first_floats_are_these() {
    insta::assert_snapshot!(walks(&float("0.01", "0.20", "0.001"), 0.1), @r"
    lognormal: 0.132 0.138 0.166 0.198 0.182* 0.191 0.138 0.155
    gaussian: 0.135 0.141 0.164 0.186 0.200 0.195* 0.154 0.168
    polynomial: 0.119 0.136 0.143 0.159 0.170 0.173 0.164 0.183
    uniform: 0.190 0.187 0.159 0.186 0.174 0.134 0.043 0.191
    compat-gaussian: 0.127 0.133 0.158 0.186 0.200* 0.188 0.127 0.141
    ");
}

#[test]
fn the_first_whole_numbers_are_these() {
    insta::assert_snapshot!(walks(&int("1", "60"), 5.0), @r"
    lognormal: 6 7 8 7 8 11 7 11
    gaussian: 6 8 13 11 12 23 7 23
    polynomial: 11 16 18 23 27 28 25 31
    uniform: 57 56 48 56 52 40 11 57
    compat-gaussian: 6 5 6 7 8 9 6 7
    ");
}

#[test]
fn the_first_picks_are_these() {
    let weights = Weights::new(&[1.0, 2.0, 3.0, 4.0]).unwrap();
    let streams = Streams::new(42, 1, "strategies/momentum.py");
    let picks = [0, 1, 2, 3, 4, 5, 6, 7].map(|attempt| weights.pick(&mut streams.attempt(attempt)));
    assert_eq!(picks, [3, 3, 3, 3, 3, 3, 1, 3]);
}
