#!/usr/bin/env python3
"""SIGTERM and SIGINT in the middle of a batch: sealed as interrupted, pushed, and counted once."""

import signal

from lib import Agent, Pushgateway, config, equal, holds_to, read_log, wait_for

gateway = Pushgateway()
agent = Agent(config(gateway.url))
for night, (sent, code) in enumerate([(signal.SIGTERM, 143), (signal.SIGINT, 130)], 1):
    process = agent.start("run", "--rounds", 1000, "--mutations", 10000)
    wait_for("a journal with lines", lambda: any(
        path.stat().st_size > 4000 for path in agent.audit.glob("*.jsonl.partial")
    ))
    process.send_signal(sent)
    # shutdown_timeout is 30 s.
    process.communicate(timeout=35)
    equal("exit code", process.returncode, code)
    equal("nothing is left open", list(agent.audit.glob("*.partial")), [])
    newest = agent.batches()[-1]
    manifest = agent.manifest(newest)
    equal("status", manifest["status"], "interrupted")
    equal("records", manifest["records"], len(read_log(newest)))
    shown = gateway.exposition()
    equal("interrupted", shown.value("mutation_batches_total", status="interrupted"), night)
    equal("last exit code", shown.value("mutation_batch_last_exit_code"), code)
    equal("in progress", shown.value("mutation_batch_in_progress"), 0)
    holds_to(shown, agent.records())

agent("run")
holds_to(gateway.exposition(), agent.records())
agent("audit", "verify", "--gateway")

print(f"two interrupted batches, sealed and pushed; {len(agent.records())} records counted once")
