//! Evaluators, variants, constraints, the search: what is said where they make no sense, and what they mean.

use super::{assert_said, config, first_line};
use crate::evaluator::Mode;
use crate::mutation::Operator;

#[test]
fn what_makes_no_sense_is_answered_with_what_would() {
    assert_said(&[
        ("[evaluator]\nmode = \"process\"", "1:1: [evaluator] needs the key `command`"),
        (
            "[evaluator]\ncommand = []",
            "2:11: the command names no program; its first word is one, as in [\"python3\", \"backtest.py\", \"{candidate}\"]",
        ),
        (
            "[evaluator]\ncommand = [\"\", \"{candidate}\"]",
            "2:11: the command names no program; its first word is one, as in [\"python3\", \"backtest.py\", \"{candidate}\"]",
        ),
        (
            "[evaluator]\ncommand = [\"judge\"]",
            "2:11: no word of the command holds `{candidate}`, where the candidate's path is put in",
        ),
        (
            "[evaluator]\ncommand = [\"judge\", \"{candidate}\"]\nmode = \"stream\"",
            "2:21: `{candidate}` stands in the command, but in stream mode candidates come as lines on standard input; leave it out, or say mode = \"process\"",
        ),
        (
            "[evaluator]\ncommand = \"judge {candidate}\"",
            "2:11: `command` in [evaluator]: expected an array, found a string",
        ),
        (
            "[evaluator]\ncommand = [\"j\", \"{candidate}\"]\ndirection = \"maximise\"",
            "3:13: `direction` cannot be `maximise`; did you mean `maximize`? (known: `maximize`, `minimize`)",
        ),
        (
            "[evaluator]\ncommand = [\"j\", \"{candidate}\"]\ntimeout = \"1ms\"",
            "3:11: `timeout` must be at least 10ms, not 1ms",
        ),
        (
            "[evaluator]\ncommand = [\"j\", \"{candidate}\"]\nmemory = \"1KiB\"",
            "3:10: `memory` must be at least 1MiB",
        ),
        (
            "[evaluator]\ncommand = [\"j\", \"{candidate}\"]\ncpu = \"1500ms\"",
            "3:7: `cpu` must be whole seconds, not 1500ms",
        ),
        (
            "[evolution]\nsurvivors = 0",
            "2:13: `survivors` must be a whole number from 1 to 1000, not 0",
        ),
        (
            "[promote]\nmin_improvement = -1.0",
            "2:19: `min_improvement` must be a number of 0 or more, not -1",
        ),
        ("[[constraint]]", "1:1: [[constraint]] needs the key `rule`"),
        (
            "[[constraint]]\nrule = \"stop_loss < take_profit_pct\"",
            "2:8: `rule` speaks of `stop_loss`, and no parameter has that name; did you mean `stop_loss_pct`?",
        ),
        ("[[variant]]\nweight = 2.0", "1:1: [[variant]] needs the key `name`"),
        (
            "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\"",
            "4:8: a variant `a` is already there",
        ),
        (
            "[[variant]]\nname = \"a\"\noperator = \"uniform\"\nsigma = 0.1",
            "4:9: uniform has no sigma; leave it out (parameter `stop_loss_pct`)",
        ),
    ]);
    assert!(first_line("[[constraint]]\nrule = \"a <\"").starts_with("2:8: `rule` "));
}

#[test]
fn several_in_flight_are_for_streams_and_not_without_end() {
    assert_said(&[
        (
            "[evaluator]\ncommand = [\"j\", \"{candidate}\"]\nin_flight = 2",
            "3:13: `in_flight` above 1 needs mode = \"stream\"; a process judges one candidate",
        ),
        (
            "[evaluator]\ncommand = [\"j\"]\nmode = \"stream\"\nin_flight = 10001",
            "4:13: `in_flight` must be a whole number from 1 to 10000, not 10001",
        ),
    ]);
}

#[test]
fn a_variant_says_what_differs_and_the_rest_is_the_parameters_own() {
    let config = config(
        "[[parameter]]\nname = \"a\"\nmin = 0.1\nmax = 0.9\nsigma = 0.3\n\
         [[variant]]\nname = \"wide\"\nsigma = 0.5\n\
         [[variant]]\nname = \"other\"\noperator = \"gaussian\"\nweight = 3.0\nparameters_per_mutation = 2\n\
         [[variant]]\nname = \"plain\"",
    );
    let of = |at: usize| &config.variants[at].mutators[0];
    assert_eq!((of(0).operator(), of(0).sigma()), (Operator::Lognormal, Some(0.5)));
    assert_eq!((of(1).operator(), of(1).sigma()), (Operator::Gaussian, Some(0.1)));
    assert_eq!(of(2), &config.parameters[0].mutator);
    assert_eq!(
        (config.variants[1].weight, config.variants[1].parameters_per_mutation),
        (3.0, Some(2))
    );
}

#[test]
fn what_is_shown_of_it_reads_back() {
    let config = config(
        "[evaluator]\ncommand = [\"judge\", \"a b\", \"\\\"x\\\"\"]\nmode = \"stream\"\ndirection = \"minimize\"\n\
         timeout = \"90s\"\nworkers = 3\nin_flight = 20\nmemory = \"2GiB\"\ncpu = \"7s\"\n\
         [evolution]\nsurvivors = 2\nparameters_per_mutation = 3\npatience = 4\nmemory = 0\n\
         [promote]\ncommand = [\"check\"]\nmin_improvement = 0.25\n\
         [[constraint]]\nrule = \"2 * stop_loss_pct+0.01<=take_profit_pct\"\n\
         [[variant]]\nname = \"a\"\noperator = \"gaussian\"\nsigma = 0.2\nbounds = \"clamp\"\nparameters_per_mutation = 2",
    );
    let again = super::parse(&config.to_toml()).unwrap();
    assert_eq!(again.to_toml(), config.to_toml());
    assert_eq!(again.evaluator, config.evaluator);
    assert_eq!(config.evaluator.as_ref().unwrap().mode, Mode::Stream);
    assert_eq!((again.variants, again.constraints), (config.variants, config.constraints));
    assert_eq!((again.evolution, again.promote), (config.evolution, config.promote));
}
