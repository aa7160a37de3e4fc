#!/usr/bin/env python3
"""What `check` is beside: `ast.parse` of every file, and how many of the names are bound there.

    parse.py NAME,NAME... FILE...

It only parses and counts assignments, which is less than `check` does; prints both counts as JSON.
"""

import ast
import json
import sys

names = set(sys.argv[1].split(","))
bound = parsed = 0
for path in sys.argv[2:]:
    with open(path, "rb") as file:
        tree = ast.parse(file.read())
    parsed += 1
    bound += sum(
        isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
        for node in tree.body
    )
print(json.dumps({"parsed": parsed, "bound": bound}))
