#!/usr/bin/env python3
"""The same with libcst instead of regular expressions and `ast`.

    with_libcst.py STRATEGY ROUNDS MUTATIONS LOG

What is fair about it: the source is parsed once; a number is replaced by new nodes along its path alone, which is
faster than `deep_replace` or a transformer; the candidate is `Module.code`, and is validated by libcst's own parser,
which is native. It knows numbers at the top level of a module, which is where the generated strategies have them.
`bookkeeping.py` says what was left out in its favour.
"""

import libcst

from bookkeeping import PARAMETERS, run


def find(source):
    """The parameters that are there, and how a candidate is made of one."""
    module = libcst.parse_module(source)
    wanted = {name: (low, high, step, whole) for name, low, high, step, whole in PARAMETERS}
    lines = source.split("\n")
    places, targets = {}, []
    for at, statement in enumerate(module.body):
        match statement:
            case libcst.SimpleStatementLine(
                body=[libcst.Assign(targets=[libcst.AssignTarget(target=libcst.Name(value=name))], value=number)]
            ) if name in wanted and name not in places and isinstance(number, (libcst.Integer, libcst.Float)):
                places[name] = at, number
                line = next(line for line, text in enumerate(lines, 1) if text.startswith(f"{name} ="))
                targets.append((name, number.evaluated_value, wanted[name], line))

    def mutate(target, new):
        at, number = places[target[0]]
        statement = module.body[at]
        assignment = statement.body[0].with_changes(value=number.with_changes(value=repr(new)))
        body = (*module.body[:at], statement.with_changes(body=[assignment]), *module.body[at + 1:])
        candidate = module.with_changes(body=body).code
        try:
            libcst.parse_module(candidate)
        except libcst.ParserSyntaxError as error:
            raise ValueError(error.message) from error
        return candidate

    return targets, mutate


if __name__ == "__main__":
    run(find)
