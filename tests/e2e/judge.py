#!/usr/bin/env python3
"""CPython judges the candidates: each is the original but for one literal, which has exactly the logged value.

The literal is found by Python's own `ast`, from nothing but the two files and the record in the audit log.
"""

import ast
import hashlib
import re

from lib import Agent, Pushgateway, config, equal, holds_to

BOM = b"\xef\xbb\xbf"


class Literals:
    """The number literals of a file, with their signs, by the bytes that they take up."""

    def __init__(self, source):
        tree = ast.parse(source)
        lines = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", source))]
        if source.startswith(BOM):
            lines[0] = len(BOM)
        self.names = names_of_values(tree)
        self.nodes = []
        for node in ast.walk(tree):
            value = value_of(node)
            if value is not None:
                start = lines[node.lineno - 1] + node.col_offset
                end = lines[node.end_lineno - 1] + node.end_col_offset
                self.nodes.append((start, end, value, node))

    def around(self, first, last):
        """Those that the bytes from `first` to `last` lie in."""
        return [literal for literal in self.nodes if literal[0] <= first and last <= literal[1]]

    def between(self, start, end):
        """The values of those that take up exactly these bytes."""
        return [value for first, last, value, _ in self.nodes if (first, last) == (start, end)]


def value_of(node):
    """The number that a node stands for, if it is a literal with signs before it."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand) if (value := value_of(operand)) is not None:
            return -value
        case ast.UnaryOp(op=ast.UAdd(), operand=operand) if (value := value_of(operand)) is not None:
            return value
    return None


def names_of_values(tree):
    """By the identity of a value's node: what the value is called."""
    names = {}

    def call(value, name):
        names.setdefault(id(value), set()).add(name)

    def bind(target, value):
        match target:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                call(value, name)
            case ast.Subscript(slice=ast.Constant(value=key)):
                call(value, str(key))
            case ast.Tuple(elts=targets) | ast.List(elts=targets) if isinstance(value, ast.Tuple | ast.List):
                for one, other in zip(targets, value.elts):
                    bind(one, other)

    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    bind(target, value)
            case ast.AnnAssign(target=target, value=value) if value:
                bind(target, value)
            case ast.NamedExpr(target=target, value=value):
                bind(target, value)
            case ast.keyword(arg=name, value=value) if name:
                call(value, name)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values):
                    if isinstance(key, ast.Constant):
                        call(value, str(key.value))
            case ast.Tuple(elts=[ast.Constant(value=str(name)), value, *_]):
                call(value, name)
            case ast.List(elts=[ast.Constant(value=str(name)), value, *_]):
                call(value, name)
            case ast.arguments(posonlyargs=first, args=more, defaults=defaults, kwonlyargs=only, kw_defaults=others):
                positional = [*first, *more]
                for argument, value in zip(positional[len(positional) - len(defaults):], defaults):
                    call(value, argument.arg)
                for argument, value in zip(only, others):
                    if value:
                        call(value, argument.arg)
    return names


def same(literal, logged):
    """Exactly equal; a parameter that is no int may have its value written as one, `timeout = 1`."""
    return literal == logged and isinstance(literal, float) <= isinstance(logged, float)


def judge(original, before, candidate, record, name):
    """Holds a candidate to its record; `before` are the original's literals, `name` is what ours must be called."""
    assert original != candidate, "nothing has changed"
    shorter = min(len(original), len(candidate))
    prefix = next((i for i in range(shorter) if original[i] != candidate[i]), shorter)
    suffix = 0
    while suffix < shorter - prefix and original[-1 - suffix] == candidate[-1 - suffix]:
        suffix += 1
    after = Literals(candidate)
    literals = [
        literal for literal in before.around(prefix, len(original) - suffix)
        if same(literal[2], record["old_value"])
    ]
    # `+1` and its `1` have the same value; the record means the whole.
    assert literals, f"the change at byte {prefix} lies in no literal of the value {record['old_value']}"
    start, end, old, node = min(literals, key=lambda literal: (literal[0], -literal[1]))
    equal("line", node.lineno, record["line"])
    called = before.names.get(id(node), set())
    assert name in called, f"the literal in line {node.lineno} is called {called}, not {name}"
    # The same bytes stand before it and after it.
    equal("before the literal", candidate[:start], original[:start])
    new_end = len(candidate) - (len(original) - end)
    equal("after the literal", candidate[new_end:], original[end:])
    values = after.between(start, new_end)
    # A float is never written as an int where none stood before.
    right = (value for value in values if isinstance(value, float) or isinstance(old, int))
    assert any(same(value, record["new_value"]) for value in right), (
        f"CPython reads {values} from {candidate[start:new_end]!r}, the log says {record['new_value']!r}"
    )


def judge_batch(agent, names):
    """Judges all candidates of the newest batch; gives how many there are, and of how many strategies."""
    log = agent.batches()[-1]
    batch = log.name.split(".")[0]
    records = {record["mutation_id"]: record for record in agent.records() if record["batch_id"] == batch}
    candidates = sorted((agent.folder / "evolved" / batch).rglob("exit_mut_*.py"))
    originals = {}
    for path in candidates:
        record = records[path.stem]
        folder = path.parent.relative_to(agent.folder / "evolved" / batch)
        equal("folder", f"{folder}.py", record["strategy"])
        assert record["success"], f"{path.stem} is no success"
        if record["strategy"] not in originals:
            original = (agent.folder / record["strategy"]).read_bytes()
            originals[record["strategy"]] = original, Literals(original)
        try:
            judge(*originals[record["strategy"]], path.read_bytes(), record, names.get(record["parameter"], record["parameter"]))
        except (AssertionError, SyntaxError, ValueError) as error:
            raise AssertionError(f"{path} of {record}: {error}") from error
    return len(candidates), len(originals)


def digests(folder):
    """Of all Python files that are not ours."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.py") if "evolved" not in path.relative_to(folder).parts
    }


# Forms that the bundled strategies do not have, in one file each.
FORMS = {
    "crlf.py": b"stop_loss_pct = 0.10\r\ntake_profit_pct = .25\r\n# caf\xc3\xa9",
    "bom.py": BOM + "stop_loss_pct = 1e-1; name = '止损'; take_profit_pct = 0.2".encode(),
    "old_mac.py": b"stop_loss_pct = 0.10\rtake_profit_pct = 0.25\r",
    "tabs.py": "class A:\n\t\"\"\"µ\"\"\"\n\tdef __init__(self):\n\t\tself.stop_loss_pct, b = (0.1), 2\n".encode(),
    "call.py": "sim('é', 'ü', stop_loss_pct=0.0_8, holding_period_days=1_0)\n".encode(),
    "default.py": b"def f(a, *, stop_loss_pct=0.05, b=0.05): return stop_loss_pct\n",
    "dict.py": b"p = {'a': 0.1, 'stop_loss_pct': 0.1, 'b': 0.1}\nq = [('take_profit_pct', 5.e-2), ('b', 5.e-2)]\n",
    "signed.py": b"negative = - 0.10\npositive = +0.10\nover_zero = 0.0\nwrapped = -(0.10)\n",
    "form_feed.py": b"a = 1\n\x0c\nstop_loss_pct = 0.10\n",
    "continued.py": b"stop_loss_pct \\\n    = \\\n    0.10\n",
    "walrus.py": b"if (stop_loss_pct := 0.10): pass\n",
}
MORE = "".join(
    f'\n[[parameter]]\nname = "{name}"\nmin = {low}\nmax = {high}\n'
    for name, low, high in [
        ("stop_loss_pct", 0.01, 0.2), ("take_profit_pct", 0.05, 0.5), ("trailing_stop_offset", 0.005, 0.05),
        ("holding_period_days", 1, 60), ("negative", -0.5, -0.01), ("positive", 0.01, 0.5), ("over_zero", -1.5, 1.5),
        ("wrapped", -0.5, -0.01),
    ]
)


def main():
    """Judges the bundled strategies and the forms."""
    gateway = Pushgateway()
    agent = Agent(config(gateway.url, rounds=20, mutations=300) + "\n[output]\nkeep = 50\n" + MORE)
    for name, source in FORMS.items():
        (agent.folder / "examples/strategies" / name).write_bytes(source)
    before = digests(agent.folder)
    agent("run", "--seed", 1)
    count, strategies = judge_batch(agent, {})
    equal("strategies with candidates", strategies, 4 + len(FORMS))
    assert count > 500, f"only {count} candidates"
    equal("the originals", digests(agent.folder), before)
    holds_to(gateway.exposition(), agent.records())
    print(f"CPython judged {count} candidates of {strategies} strategies: each is its original but for one literal")


if __name__ == "__main__":
    main()
