//! What binds a name, and what does not.

use super::outcome;

#[test]
fn every_form_of_binding_is_found() {
    for (text, expected) in [
        ("x = 0.1\n", "1:5 0.1"),
        ("x: float = 0.1\n", "1:12 0.1"),
        ("a = x = b = 0.1\n", "1:13 0.1"),
        ("x = x = 0.1\n", "1:9 0.1"),
        ("a, x = 0.2, 0.1\n", "1:13 0.1"),
        ("[a, (b, x)] = 1, (2, 0.1)\n", "1:22 0.1"),
        ("a, *b, x = 1, 2, 3, 0.1\n", "1:21 0.1"),
        ("x, *b = 0.1, 2, 3\n", "1:9 0.1"),
        ("a, x = *b, 0.1\n", "1:12 0.1"),
        ("x, a = 0.1, *b\n", "1:8 0.1"),
        ("a = (b, x) = (1, 0.1)\n", "1:18 0.1"),
        ("if (x := 0.1): pass\n", "1:10 0.1"),
        ("class A:\n    x = 0.1\n", "2:9 0.1"),
        ("class A:\n    x: float = 0.1\n", "2:16 0.1"),
        ("class A:\n    def f(self):\n        self.x = 0.1\n", "3:18 0.1"),
        ("class A:\n    def f(self):\n        self.x: float = 0.1\n", "3:25 0.1"),
        ("params.x = 0.1\n", "1:12 0.1"),
        ("f(1).y[i].x = 0.1\n", "1:15 0.1"),
        ("def f(a, x=0.1): pass\n", "1:12 0.1"),
        ("def f(x=0.1, /): pass\n", "1:9 0.1"),
        ("def f(*, x: float = 0.1): pass\n", "1:21 0.1"),
        ("f = lambda x=0.1: x\n", "1:14 0.1"),
        ("sim(p, x=0.1)\n", "1:10 0.1"),
        ("p = dict(x=0.1)\n", "1:12 0.1"),
        ("class A(B, x=0.1): pass\n", "1:14 0.1"),
        ("@f(x=0.1)\ndef g(): pass\n", "1:6 0.1"),
        ("p = {'a': 1, \"x\": 0.1}\n", "1:19 0.1"),
        ("p = {'a': [{'x': 0.1}]}\n", "1:18 0.1"),
        ("params = (('x', 0.1), ('y', 2))\n", "1:17 0.1"),
        ("params = [('x', 0.1)]\n", "1:17 0.1"),
        ("params = ('x', 0.1)\n", "1:16 0.1"),
        ("add(('x', -0.1))\n", "1:11 -0.1"),
        ("if a:\n    pass\nelse:\n    x = 0.1\n", "4:9 0.1"),
        ("try:\n    pass\nfinally:\n    for i in y:\n        x = 0.1\n", "5:13 0.1"),
        ("match a:\n    case 1:\n        x = 0.1\n", "3:13 0.1"),
        ("def f():\n    class A:\n        class B:\n            x = 0.1\n", "4:17 0.1"),
        ("with a as b: x = 0.1\n", "1:18 0.1"),
        ("x = (0.1)\n", "1:6 0.1"),
        ("x = -0.1\n", "1:5 -0.1"),
        ("x = +0.1\n", "1:5 +0.1"),
        ("x = - 0.1\n", "1:5 - 0.1"),
        ("止损 = 1; x = 0.1\n", "1:13 0.1"),
        ("\u{feff}x = 0.1", "1:5 0.1"),
    ] {
        assert_eq!(outcome(text, "x"), expected, "{text}");
    }
}

#[test]
fn what_binds_nothing_is_not_found() {
    for text in [
        "",
        "x += 0.1\n",
        "x == 0.1\n",
        "x: float\n",
        "f'{x} {f(x=0.1)} x = 0.1'\n",
        "# x = 0.1\n",
        "'x = 0.1'\n",
        "\"\"\"\nx = 0.1\n\"\"\"\n",
        "max_x = 0.1\nx_max = 0.1\nX = 0.1\n",
        "match a:\n    case P(x=0.1): pass\n    case {'x': 0.1}: pass\n",
        "match a:\n    case ('x', 0.1): pass\n",
        "for x in 0.1, 0.2: pass\n",
        "x(0.1)\n",
        "df['x'] = 0.1\n",
        "df.loc[mask, 'x'] = 0.1\n",
        "y = df['x', 0]\n",
        "for name in ('x', 'y'): pass\n",
        "def f(): return 'x', 0.1\n",
        "y = f('x', 0.1)\n",
        "del x\n",
        "p = {**x}\n",
        "p = {b'x': 0.1}\n",
    ] {
        assert_eq!(outcome(text, "x"), "not_found", "{text}");
    }
}

#[test]
fn what_is_no_plain_number_is_named_with_its_line() {
    for (value, shown) in [
        ("0x10", "0x10"),
        ("0o17", "0o17"),
        ("0B1", "0B1"),
        ("1j", "1j"),
        ("-1.5J", "-1.5J"),
        ("True", "True"),
        ("None", "None"),
        ("'0.1'", "'0.1'"),
        ("0.1 * 2", "0.1 * 2"),
        ("-(-0.1)", "-(-0.1)"),
        ("~1", "~1"),
        ("not 1", "not 1"),
        ("(0.1,)", "(0.1,)"),
        ("(0.1, 0.2)", "(0.1, 0.2)"),
        ("[0.1]", "[0.1]"),
        ("float('0.1')", "float('0.1')"),
        ("0.1 if a else 0.2", "0.1 if a else 0.2"),
        ("(y := 0.1)", "y := 0.1"),
        (
            "DecimalParameter(0.01, 0.05, default=0.02)",
            "DecimalParameter(0.01, 0.05, default=0.02)",
        ),
        ("{\n'a': 1}", "{…"),
        ("f'{0.1}'", "f'{0.1}'"),
        ("...", "..."),
    ] {
        let text = format!("\nx = {value}\n");
        assert_eq!(outcome(&text, "x"), format!("not_numeric 2 {shown}"));
    }
    assert_eq!(outcome("a, x = f()\n", "x"), "not_numeric 1 f()");
    assert_eq!(outcome("a, *x = 1, 2\n", "x"), "not_numeric 1 1, 2");
    assert_eq!(outcome("a, x = 1, 2, 3\n", "x"), "not_numeric 1 1, 2, 3");
    assert_eq!(outcome("p = (('x', None),)\n", "x"), "not_numeric 1 None");
    let long = outcome(&format!("x = {}1\n", "1 + ".repeat(40)), "x");
    assert_eq!(long.chars().count(), "not_numeric 1 ".len() + 61);
}

#[test]
fn several_bindings_are_ambiguous_even_if_one_alone_is_a_number() {
    assert_eq!(outcome("x = 0.1\nx = 0.2\n", "x"), "ambiguous [1, 2]");
    assert_eq!(outcome("x = f()\n\nx = 0.2\n", "x"), "ambiguous [1, 3]");
    assert_eq!(outcome("f(x=1); f(x=2)\nx = None\n", "x"), "ambiguous [1, 1, 2]");
    assert_eq!(outcome("if a:\n    x = 1\nelse:\n    x = 2\n", "x"), "ambiguous [2, 4]");
    assert_eq!(outcome("p = {'x': 1, 'x': 2}\n", "x"), "ambiguous [1, 1]");
}

#[test]
fn what_only_passes_a_name_on_counts_for_nothing_beside_a_value() {
    let text = "
class A:
    def __init__(self, x=0.1):
        self.x = x
        run(x=self.x, p={'x': x}, q=(('x', x),))
";
    assert_eq!(outcome(text, "x"), "3:26 0.1");
    assert_eq!(outcome("y.x = x\n", "x"), "not_numeric 1 x");
    assert_eq!(outcome("y.x = x\nz.x = x\n", "x"), "ambiguous [1, 2]");
    assert_eq!(outcome("x = 0.1\nx = y\n", "x"), "ambiguous [1, 2]");
}
