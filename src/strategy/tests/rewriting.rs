//! What changes in a file, and what does not.

use super::{RewriteError, decimal, find, rewritten, source};

#[test]
fn only_the_bytes_of_the_literal_change() {
    for (text, value, expected) in [
        ("x = 0.10", "0.12", "x = 0.12"),
        ("\u{feff}x = 0.10\r\n", "0.12", "\u{feff}x = 0.12\r\n"),
        (
            "# 止损\r\nif a:\r\n\tx\t=  0.10 # 0.10\r\n\x0c\r\n",
            "0.12",
            "# 止损\r\nif a:\r\n\tx\t=  0.12 # 0.10\r\n\x0c\r\n",
        ),
        ("y = 1\rx = 0.10\ry = 2", "0.12", "y = 1\rx = 0.12\ry = 2"),
        ("x = - 0.10\n", "-0.12", "x = - 0.12\n"),
        ("x = -(0.10)\n", "-0.12", "x = -(0.12)\n"),
        ("x = -(0.10)\n", "0.12", "x = (0.12)\n"),
        ("x = -  (0.10)\n", "0.12", "x = (0.12)\n"),
        ("x = +(0.10)\n", "-0.12", "x = -(0.12)\n"),
        ("x = -((  # 0.5\n 0.10))\n", "-0.12", "x = -((  # 0.5\n 0.12))\n"),
        ("x = -((  # 0.5\n 0.10))\n", "0.12", "x = ((  # 0.5\n 0.12))\n"),
        ("x = -\\\n0.10\n", "-0.12", "x = -\\\n0.12\n"),
        ("x = -\\\n0.10\n", "0.12", "x = \\\n0.12\n"),
        ("x=-0.10\n", "0.12", "x=0.12\n"),
        ("x=0.10\n", "-0.12", "x=-0.12\n"),
        ("x = (0.10)\n", "-0.12", "x = (-0.12)\n"),
        ("g(x=-1)\n", "2", "g(x=2)\n"),
        ("x: float=-.1;y=1", "0.5", "x: float=.5;y=1"),
        ("if (x:=-1): pass\n", "1", "if (x:=1): pass\n"),
        ("{'x':-1}\n", "1", "{'x':1}\n"),
        ("def f(x=-1): pass\n", "1", "def f(x=1): pass\n"),
    ] {
        assert_eq!(rewritten(text, "x", value), expected, "{text}");
    }
}

#[test]
fn several_values_are_written_at_once_in_any_order() {
    let text = "a, b = 0.10, 5\nclass C:\n    c = -1.5\n";
    let sites = ["c", "a", "b"].map(|selector| find(text, selector, 0).unwrap());
    let values = ["0.25", "0.125", "60"].map(decimal);
    let values: Vec<_> = sites.iter().zip(values).collect();
    let expected = "a, b = 0.125, 60\nclass C:\n    c = 0.25\n";
    assert_eq!(source(text).rewrite(&values).unwrap(), expected);
    assert_eq!(source(text).rewrite(&[]).unwrap(), text);
}

#[test]
fn what_was_rewritten_can_be_rewritten_back() {
    let text = "x = -(0.10)\ny = .5\n";
    let there = rewritten(text, "y", "3.25");
    assert_eq!(there, "x = -(0.10)\ny = 3.25\n");
    assert_eq!(rewritten(&there, "y", "3.5"), "x = -(0.10)\ny = 3.50\n");
}

#[test]
fn a_site_of_another_source_is_refused() {
    let site = find("y = 1\nx = 0.10\n", "x", 0).unwrap();
    let error = source("x = 0.10\n").rewrite(&[(&site, decimal("0.12"))]).unwrap_err();
    assert!(matches!(error, RewriteError::ForeignSite { line: 2, .. }), "{error}");
    let error = source("x = '止损止损止损'\n").rewrite(&[(&site, decimal("0.12"))]).unwrap_err();
    assert!(matches!(error, RewriteError::ForeignSite { line: 2, .. }), "{error}");
}

#[test]
fn two_values_for_one_site_are_refused() {
    let text = "x = y = 0.10\n";
    let (x, y) = (find(text, "x", 0).unwrap(), find(text, "y", 0).unwrap());
    let values = [(&x, decimal("0.12")), (&y, decimal("0.13"))];
    let error = source(text).rewrite(&values).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: `0.10` is given two values; two parameters have the same target"
    );
}
