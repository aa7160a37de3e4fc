//! What the floors below refuse is said at the line of the config that caused it.

use super::{STRATEGIES, assert_said, complaint, environment};
use crate::config::{Config, Environment};
use std::path::Path;

#[test]
fn a_domain_is_refused_at_its_step_or_else_at_its_bounds() {
    let said = |keys: &str| {
        let complaint = complaint(&format!("[[parameter]]\nname = \"a\"\n{keys}"));
        complaint.lines().next().unwrap_or_default().to_owned()
    };
    let coarse = said("min = 0.1\nmax = 0.2\nstep = 0.5");
    assert!(coarse.starts_with("agent.toml:5:8: step 0.5 has 0 of its multiples"), "{coarse}");
    let narrow = said("min = 0.0001\nmax = 0.0005");
    assert!(narrow.starts_with("agent.toml:3:7: step 0.001 has 0 of its multiples"), "{narrow}");
}

#[test]
fn an_operator_and_its_width_are_refused_each_at_its_own_line() {
    let said = |keys: &str| {
        let text = format!("[[parameter]]\nname = \"a\"\nmin = -0.1\nmax = 0.2\n{keys}");
        complaint(&text).lines().next().unwrap_or_default().to_owned()
    };
    let operator = said("operator = \"lognormal\"\nsigma = 0.1");
    assert!(operator.starts_with("agent.toml:5:12: lognormal needs bounds"), "{operator}");
    let sigma = said("operator = \"gaussian\"\nsigma = 0");
    assert!(sigma.starts_with("agent.toml:6:9: sigma 0 must be above 0"), "{sigma}");
    let not_a_number = said("sigma = nan");
    assert!(not_a_number.starts_with("agent.toml:5:9: sigma NaN"), "{not_a_number}");
    let useless = said("operator = \"uniform\"\nsigma = 0.1");
    assert!(useless.starts_with("agent.toml:6:9: "), "{useless}");
}

#[test]
fn a_selector_is_refused_at_the_target_or_else_at_the_name() {
    let said = |keys: &str| complaint(&format!("[[parameter]]\n{keys}\nmin = 1\nmax = 2"));
    let target = said("name = \"a\"\ntarget = \"a b\"");
    assert!(target.starts_with("agent.toml:3:10: "), "{target}");
    let name = said("name = \"stop loss\"");
    assert!(name.starts_with("agent.toml:2:8: "), "{name}");
    assert!(name.contains("; say with `target` where it stands"), "{name}");
}

#[test]
fn a_python_that_is_not_known_is_refused_at_its_line() {
    let text = "[strategies]\ninclude = [\"*.py\"]\npython = \"2.7\"";
    let error = super::parse(text).unwrap_err().to_string();
    assert!(error.starts_with("agent.toml:3:10: "), "{error}");
    assert!(error.contains("3.7 to 3.14"), "{error}");
}

#[test]
fn a_grouping_label_is_refused_at_its_own_place() {
    let grouping = |labels: &str| format!("[[gateway]]\nurl = \"http://h\"\ngrouping = {labels}");
    assert_said(&[
        (
            &grouping("{ a = \"1\", \"b-c\" = \"2\" }"),
            "3:23: `b-c` is no label name: letters, digits and `_`, not a digit first",
        ),
        (
            &grouping("{ a = \"1\", outcome = \"2\" }"),
            "3:23: the label name `outcome` is used by the metrics themselves",
        ),
    ]);
}

#[test]
fn a_host_without_a_name_is_told_to_give_a_grouping() {
    let nameless = Environment { host_name: String::new(), ..environment() };
    let text = format!("{STRATEGIES}[[gateway]]\nurl = \"http://h\"");
    let error = Config::parse(&text, Path::new("agent.toml"), &nameless).unwrap_err().to_string();
    assert!(error.starts_with("agent.toml:4:7: the host's name as label `instance`: "), "{error}");
    assert!(error.contains("; give `grouping`"), "{error}");
}

#[test]
fn the_defaults_of_operators_are_printed() {
    let printed = super::config("[[parameter]]\nname = \"a\"\nmin = -0.1\nmax = 0.2").to_toml();
    assert!(printed.contains("\noperator = \"gaussian\"\nsigma = 0.1\nbounds"), "{printed}");
    let printed = super::config("").to_toml();
    assert!(printed.contains("\noperator = \"lognormal\"\nsigma = 0.15\nbounds"), "{printed}");
}
