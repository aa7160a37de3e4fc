#!/usr/bin/env python3
"""prometheus_client's `push_to_gateway`, as a rival of benches/push/rival.rs; it opens a connection for each push.

    push_by_python.py BASE_URL JOB INSTANCE FOLDER

One metric is left out: the library calls each counter `…_total`, and the agent's `exit_mutations_success`, whose name
is older, must not be another one.
"""

import json
import sys
import time
from pathlib import Path

from prometheus_client import push_to_gateway
from prometheus_client.parser import text_string_to_metric_families

LEFT_OUT = "exit_mutations_success"


class Families:
    """A registry with the very metrics that the agent pushes."""

    def __init__(self, text):
        self.families = [family for family in text_string_to_metric_families(text) if family.name != LEFT_OUT]

    def collect(self):
        """All of them."""
        return self.families


base, job, instance, folder = sys.argv[1:]
registry = Families((Path(folder) / "body.text").read_text())
for line in sys.stdin:
    taken = []
    for _ in range(int(line)):
        began = time.perf_counter_ns()
        push_to_gateway(base.rstrip("/"), job, registry, {"instance": instance}, timeout=10)
        taken.append(time.perf_counter_ns() - began)
    print(json.dumps(taken), flush=True)
