#!/usr/bin/env python3
"""The same, but of a candidate only its literal is made and read back, which is what the agent does for each mutation.

    with_literal.py STRATEGY ROUNDS MUTATIONS LOG

No other byte of the source changes, so that the literal decides; the agent parses a candidate as a whole when it
writes the file, and writes ten of a batch. The cost of `ast.parse` is not in this one.
"""

import with_re
from bookkeeping import run


def find(source):
    """The parameters that are there, and how the literal is made of one."""
    targets, _ = with_re.find(source)

    def mutate(target, new):
        literal = repr(new)
        if type(new)(literal) != new:
            raise ValueError(f"{literal} does not read as {new}")
        return literal

    return targets, mutate


if __name__ == "__main__":
    run(find)
