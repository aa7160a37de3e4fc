"""What both references share: parameters, proposals, the log of JSON lines, the metrics, and the loop around them.

Python as one would write it for speed within that design: one encoder, children of metrics taken once, the clock read
by `perf_counter_ns`, records written a thousand at a time, a sync for each round, and no garbage collector, since nothing
here makes cycles. Left out in its favour: candidates are not written, the value is not read back from the candidate,
there is no manifest, no state and no push.
"""

import argparse
import gc
import json
import os
import random
import time
from datetime import datetime, timezone

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# Name, bounds, step, whether it is an int: as of the agent where there is no [[parameter]].
PARAMETERS = [
    ("stop_loss_pct", 0.01, 0.20, 0.001, False), ("take_profit_pct", 0.05, 0.50, 0.001, False),
    ("trailing_stop_offset", 0.005, 0.05, 0.001, False), ("holding_period_days", 1, 60, 1, True),
]
SIGMA = 0.15
REDRAWS = 10
BUCKETS = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1,
           0.25, 0.5, 1.0, 2.5, 5.0, 10.0]
# As in the agent's configuration here.
BUFFER = 1000


def propose(generator, old, low, high, step, whole):
    """Another value near the old one, on the step and within its bounds; whether it had to be brought back."""
    for _ in range(REDRAWS):
        raw = generator.gauss(old, SIGMA * old)
        bounded = min(max(raw, low), high)
        new = round(bounded) if whole else round(round(bounded / step) * step, 6)
        if new != old:
            break
    return new, bounded != raw


class Journal:
    """A file of JSON lines that is written some records at a time."""

    def __init__(self, path):
        self.file = open(path, "xb", buffering=0)
        self.encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
        self.held = []

    def append(self, record):
        """Takes a record."""
        self.held.append(self.encode(record))
        if len(self.held) >= BUFFER:
            self.write()

    def write(self):
        """Writes what is held."""
        if self.held:
            self.held.append("")
            self.file.write("\n".join(self.held).encode())
            self.held = []

    def sync(self):
        """Writes what is held and waits for the disk."""
        self.write()
        os.fsync(self.file.fileno())


class Metrics:
    """The agent's metrics of mutations."""

    def __init__(self):
        registry = CollectorRegistry()
        self.total = Counter("exit_mutations", "Mutation attempts.", registry=registry)
        self.success = Counter("exit_mutations_success", "Those that gave a candidate.", registry=registry)
        self.rate = Gauge("exit_mutation_success_rate", "Successes per attempt.", registry=registry)
        self.duration = Histogram("exit_mutation_duration_seconds", "Of one mutation.", buckets=BUCKETS,
                                  registry=registry)
        outcomes = Counter("exit_mutation_outcomes", "By what became of them.", ["parameter", "operator", "outcome"],
                           registry=registry)
        self.outcomes = {
            (name, outcome): outcomes.labels(name, "gaussian", outcome)
            for name, *_ in PARAMETERS for outcome in ("success", "no_change", "invalid_source")
        }
        self.registry = registry
        self.attempts = self.successes = 0

    def observe(self, parameter, outcome, seconds):
        """Counts one attempt."""
        self.attempts += 1
        self.total.inc()
        if outcome == "success":
            self.successes += 1
            self.success.inc()
        self.outcomes[parameter, outcome].inc()
        self.duration.observe(seconds)
        self.rate.set(self.successes / self.attempts)


def attempt(mutate, target, generator):
    """One mutation: old and new value, whether it was brought back, what became of it, its error."""
    _, old, bounds, _ = target
    new, clamped = propose(generator, old, *bounds)
    if new == old:
        return old, new, clamped, "no_change", None
    try:
        mutate(target, new)
    except (SyntaxError, ValueError) as error:
        return old, new, clamped, "invalid_source", str(error)
    return old, new, clamped, "success", None


def run(find):
    """A batch over one strategy; prints what it took as one object of JSON.

    `find(source)` gives the targets (name, value, bounds, line) and `mutate(target, new)`, which makes a candidate and
    raises where it is no Python.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("strategy")
    parser.add_argument("rounds", type=int)
    parser.add_argument("mutations", type=int)
    parser.add_argument("log")
    asked = parser.parse_args()
    gc.disable()
    began = time.perf_counter()
    with open(asked.strategy, encoding="utf-8") as file:
        targets, mutate = find(file.read())
    journal, metrics, generator = Journal(asked.log), Metrics(), random.Random(1)
    batch = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ-000000")
    durations, bookkeeping = [], []
    clock, now, utc = time.perf_counter_ns, datetime.now, timezone.utc
    number = 0
    for turn in range(1, asked.rounds + 1):
        for _ in range(asked.mutations):
            started = clock()
            target = generator.choice(targets)
            old, new, clamped, outcome, error = attempt(mutate, target, generator)
            ended = clock()
            number += 1
            success = outcome == "success"
            journal.append({
                "timestamp": now(utc).isoformat(timespec="microseconds")[:-6] + "Z", "batch_id": batch,
                "mutation_id": f"exit_mut_{number:06}", "round": turn, "strategy": asked.strategy,
                "line": target[3], "parameter": target[0], "operator": "gaussian", "variant": None, "parent": None,
                "old_value": old, "new_value": new, "clamped": clamped, "outcome": outcome, "success": success,
                "validation_passed": success, "error": error, "fitness": None, "duration_ms": (ended - started) / 1e6,
                "evaluation_ms": None,
            })
            metrics.observe(target[0], outcome, (ended - started) / 1e9)
            durations.append(ended - started)
            bookkeeping.append(clock() - ended)
        journal.sync()
    seconds = time.perf_counter() - began
    print(json.dumps({
        "records": number, "successes": metrics.successes, "seconds": seconds,
        "total": metrics.registry.get_sample_value("exit_mutations_total"),
        "duration": spread(durations), "bookkeeping": spread(bookkeeping),
    }))


def spread(nanoseconds):
    """Median, 99.9th percentile and mean, in seconds."""
    ordered = sorted(nanoseconds)
    at = lambda share: ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1e9
    return {"p50": at(0.5), "p999": at(0.999), "mean": sum(ordered) / len(ordered) / 1e9}
