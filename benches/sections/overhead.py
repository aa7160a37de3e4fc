"""What a mutation costs besides being made, as the Python system counted it, and what it costs in all."""

import json

from measuring import Table, digits, median, on_one_core, span
from sections.writing import ROUNDS, Writer

TITLE = "Overhead per mutation"


def spread(durations):
    """Median and 99.9th percentile, in seconds."""
    ordered = sorted(durations)
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.999 * len(ordered)))]


def run(brief, folder):
    """The table."""
    mutations, few = (500, 20) if brief else (100_000, 1_000)
    table = Table(["lines", "propose, render, read back: p50", "p99.9", "time tracking, metrics, logging, each", "all, each"])
    for lines in (153, 5_000):
        writer = Writer(folder / str(lines), lines, 1)
        turns = []
        with on_one_core():
            for _ in range(1 if brief else 5):
                cost, log = writer.record(mutations)
                durations = [json.loads(line)["duration_ms"] / 1e3 for line in log.open()]
                start = writer.record(1)[0].wall
                each = (cost.wall - start) / (ROUNDS * mutations)
                turns.append((*spread(durations), each - sum(durations) / len(durations), each))
            rivals = {
                "re, ast": writer.refer("with_re", max(2, few * 153 // lines))[0],
                "re": writer.refer("with_literal", 10 * few)[0],
            }
        table.add(f"{lines:,}, ours", *(span(median(column)) for column in zip(*turns)))
        for name, python in rivals.items():
            made, kept = python["duration"], python["bookkeeping"]
            table.add(f"{lines:,}, Python ({name}), of {python['records']:,} mutations", span(made["p50"]), span(made["p999"]),
                      f"{span(kept['mean'])} (p50 {span(kept['p50'])}, p99.9 {span(kept['p999'])})",
                      span(python["seconds"] / python["records"]))
    table.notes.append(
        f"Ours: {digits(ROUNDS * mutations)} mutations on one core; the first two columns are `duration_ms` as"
        " recorded, the last is the wall time of the process, without what a batch of two mutations takes. Python:"
        " bookkeeping is measured for each mutation. Of time tracking, metrics and logging the Python system promised"
        " that they take less than 1 ms; ours is done for a thousand records at once, so that it has no percentiles of its own."
    )
    return table
