#!/usr/bin/env python3
"""The clock is stepped, with libfaketime: between batches and during one, to 2099, to 1970 and back.

Ids go on rising, no duration is negative, the last success never goes back, nothing is pruned for it at once, the
start that is shown is what the clock said, and everything counts once. The monotonic clock stays real, as NTP leaves it.
"""

import re
import signal
import time
from datetime import datetime, timezone

from lib import Agent, Clock, Pushgateway, config, equal, holds_to, read_log, wait_for

DAY = 86400
# Seconds since 1970.
YEAR_2099 = datetime(2099, 6, 1, tzinfo=timezone.utc).timestamp()
YEAR_1970 = 10 * DAY

gateway = Pushgateway()


def run(agent, clock):
    """A batch under that clock; what it said."""
    process = agent.start("run", environment=clock.environment)
    said = process.communicate(timeout=60)[1]
    equal(f"exit code\n{said}", process.returncode, 0)
    return said


def stamp(text):
    """Seconds since 1970 of a timestamp in a record or manifest."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def check_manifest(agent, log):
    """Durations are none below zero; the manifest's end is its start and its duration."""
    manifest = agent.manifest(log)
    assert 0 <= manifest["duration_seconds"] < 60, manifest["duration_seconds"]
    took = stamp(manifest["ended"]) - stamp(manifest["started"])
    assert abs(took - manifest["duration_seconds"]) < 0.001, (took, manifest["duration_seconds"])
    for record in read_log(log):
        assert 0 <= record["duration_ms"] < 60000, record
    return manifest


def check_shown(shown, before):
    """Nothing negative; what may not go back has not."""
    for name, labels, value in shown.samples:
        if name.startswith(("exit_mutation", "mutation_")) and value == value:
            assert value >= 0, (name, labels, value)
    for name in ("mutation_batch_last_success_timestamp_seconds", "exit_mutations_total",
                 "exit_mutation_duration_seconds_sum"):
        if before:
            assert shown.value(name) >= before.value(name), f"{name} went back"


# Between batches. A year of retention, which 2099 passes at once.
clock = Clock()
agent = Agent(config(gateway.url, rounds=2, mutations=10, instance="clock")
              + '\n[audit]\nretention = { age = "365d", batches = 1000 }\n')
today = time.time()
nights = [today - days * DAY for days in range(9, 0, -1)]
nights += [YEAR_2099, YEAR_2099 + DAY, today, YEAR_1970, today + DAY, YEAR_1970 + DAY, YEAR_2099 + 2 * DAY]
shown, ids, highest = None, [], 0
for number, night in enumerate(nights, 1):
    clock.set(night)
    said = run(agent, clock)
    equal("batches, none pruned", len(agent.batches()), number)
    newest = agent.batches()[-1]
    manifest = check_manifest(agent, newest)
    ids.append(manifest["batch_id"])
    assert abs(stamp(manifest["started"]) - night) < 30, (manifest["started"], night)
    before, shown = shown, gateway.exposition()
    check_shown(shown, before)
    holds_to(shown, agent.records(), instance="clock")
    start = shown.value("mutation_batch_last_start_timestamp_seconds")
    assert abs(start - night) < 30, f"the start that is shown is {start}, and the clock said {night}"
    # The last one's, by its clock; only the last success never goes back.
    completion = shown.value("mutation_batch_last_completion_timestamp_seconds")
    assert abs(completion - stamp(manifest["ended"])) < 0.001, (completion, manifest["ended"])
    highest = max(highest, night)
    success = shown.value("mutation_batch_last_success_timestamp_seconds")
    assert abs(success - highest) < 30, (success, highest)
    warned = said.count("the clock stands before the last batch's id")
    equal(f"warnings in night {number}", warned, int(night < highest))
    equal(f"warnings of the last success in night {number}", said.count("lies ahead of the clock"), int(night < highest))
equal("ids sort in the order of the nights", ids, sorted(set(ids)))
assert re.match(r"2099", ids[-1]) and re.match(r"2099", ids[11]), ids

# 2099 stays: once seven batches are from there, the others are a year old and more. Never all of them.
for night in range(3, 10):
    clock.set(YEAR_2099 + night * DAY)
    run(agent, clock)
    assert len(agent.batches()) >= 7, agent.batches()
kept = [manifest for log in agent.batches() if (manifest := agent.manifest(log))["batch_id"] < "2098"]
equal("of the years before", kept, [])
shown = gateway.exposition()
equal("totals hold what was pruned", shown.value("exit_mutations_total"), 20 * (len(nights) + 7))

# During a batch.
clock = Clock()
clock.set(today)
agent = Agent(config(gateway.url, rounds=1000000, mutations=10, instance="stepped", more='interval = "100ms"'))
began = time.monotonic()
process = agent.start("run", environment=clock.environment)
wait_for("the journal", lambda: list(agent.audit.glob("*.partial")))
[journal] = agent.audit.glob("*.partial")
years = []
for step in (YEAR_2099, YEAR_1970, YEAR_2099, today):
    clock.set(step)
    year = str(datetime.fromtimestamp(step, timezone.utc).year).encode()
    length = journal.stat().st_size
    wait_for(f"records of {year}", lambda: b'"timestamp":"' + year in journal.read_bytes()[length:])
    years.append(year.decode())
process.send_signal(signal.SIGTERM)
said = process.communicate(timeout=35)[1]
elapsed = time.monotonic() - began
equal(f"exit code\n{said}", process.returncode, 143)
[log] = agent.batches()
manifest = check_manifest(agent, log)
assert manifest["duration_seconds"] < elapsed, (manifest["duration_seconds"], elapsed)
assert abs(stamp(manifest["started"]) - today) < 30
seen = {record["timestamp"][:4] for record in read_log(log)}
assert set(years) <= seen, seen
shown = gateway.exposition()
check_shown(shown, None) if shown.all("mutation_batch_last_success_timestamp_seconds") else None
holds_to(shown, agent.records(), instance="stepped")
assert 0 <= shown.value("mutation_batch_last_duration_seconds", instance="stepped") < elapsed

print(f"{len(nights) + 7} nights and a batch under a clock that went to 2099, to 1970 and back: "
      f"{len(agent.records())} records in the stepped one, nothing negative, nothing back, nothing lost")
