#!/usr/bin/env python3
"""Three nights with the example configuration: the gateway shows what the audit logs hold, and so does `stats`."""

import json
import math
import subprocess
from collections import Counter

import duckdb

from lib import EXAMPLE, Agent, Pushgateway, close, equal, holds_to, read_log, seconds

gateway = Pushgateway()
agent = Agent(EXAMPLE.replace("http://127.0.0.1:9091", gateway.url))
before = 0
for night in (1, 2, 3):
    agent("run")
    shown = gateway.exposition()
    records = agent.records()
    assert len(records) > before, "a night without mutations"
    assert shown.value("exit_mutations_total") > before, "a counter was reset"
    before = len(records)
    holds_to(shown, records, job="exit_evolution")
    equal("completed batches", shown.value("mutation_batches_total", status="completed"), night)
    newest = read_log(agent.batches()[-1])
    rate = sum(record["success"] for record in newest) / len(newest)
    equal("exit_mutation_success_rate", shown.value("exit_mutation_success_rate"), rate)
    equal("in progress", shown.value("mutation_batch_in_progress"), 0)

equal("ten rounds of fifty, three times", len(records), 1500)
equal("one log stays plain", [log.suffix for log in agent.batches()], [".zst", ".zst", ".jsonl"])
equal("the link", (agent.audit / "latest.jsonl").resolve(), agent.batches()[-1].resolve())

# The tools that people would use read the same.
jq = subprocess.run(
    ["jq", "-s", "map(select(.success)) | length", agent.audit / "latest.jsonl"],
    capture_output=True, text=True, check=True,
)
equal("jq", int(jq.stdout), sum(record["success"] for record in newest))
table = duckdb.execute(
    "SELECT count(*), count(*) FILTER (success), count(DISTINCT batch_id), max(new_value)"
    " FROM read_json(?, format = 'newline_delimited')",
    [[str(log) for log in agent.batches()]],
).fetchone()
successes = sum(record["success"] for record in records)
highest = max(record["new_value"] for record in records)
equal("DuckDB over .jsonl and .jsonl.zst", table, (1500, successes, 3, highest))

# `stats` against the formulas, over all samples.
statistics = json.loads(agent("stats", "--json").stdout)
durations = [seconds(record) for record in records]
spread = statistics.pop("duration_statistics")
ordered = sorted(durations)
equal("min", spread.pop("min"), ordered[0])
equal("max", spread.pop("max"), ordered[-1])
for share in (50, 95, 99):
    exact = ordered[math.ceil(share / 100 * len(ordered)) - 1]
    close(f"p{share}", spread.pop(f"p{share}"), exact, 0.002)
equal("no other spread", spread, {})
for name, exact in {
    "total": 1500,
    "successes": successes,
    "failures": 1500 - successes,
    "success_rate": successes / 1500,
    "success_percentage": successes / 15,
    "avg_duration_seconds": sum(durations) / 1500,
    "recent_avg_duration_seconds": sum(durations[-10:]) / 10,
    "total_duration_samples": 1500,
}.items():
    close(name, statistics.pop(name), exact, 1e-9)
outcomes = dict(Counter(record["outcome"] for record in records))
clamped = sum(record["clamped"] for record in records)
equal("no other figures", statistics, {"outcomes": outcomes, "clamped": clamped} if clamped else {"outcomes": outcomes})

print("three nights, 1500 records: gateway, audit, jq, DuckDB and stats agree")
