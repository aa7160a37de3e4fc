#!/usr/bin/env python3
"""The gateway is down at night: nothing is lost, and a later push brings it the totals."""

from lib import Agent, Pushgateway, config, equal, free_port, holds_to

port = free_port()
patience = 'attempt_timeout = "1s"\ndeadline = "2s"\nretry = { initial = "100ms", max = "500ms", multiplier = 2.0 }'
agent = Agent(config(f"http://127.0.0.1:{port}", more=patience))

night = agent("run", exits=75)
assert "undelivered" in night.stderr, night.stderr
assert "is the gateway running" in night.stderr, night.stderr
equal("the batch stands", agent.manifest(agent.batches()[0])["status"], "completed")
equal("the audit stands", len(agent.records()), 200)
agent("push", exits=75)
agent("check", "--gateway", exits=75)

gateway = Pushgateway(port=port)
agent("push")
holds_to(gateway.exposition(), agent.records())
failed = gateway.exposition().value("mutation_push_attempts_total", result="failed")
assert failed >= 4, f"only {failed} failed attempts were counted"
assert "has seen the newest totals" in agent("push").stdout

# A gateway that lost everything is told everything again, but only when someone says so.
gateway.kill()
gateway = Pushgateway(port=port)
equal("it is empty", gateway.exposition().all("exit_mutations_total"), [])
agent("push")
equal("it has seen them, we think", gateway.exposition().all("exit_mutations_total"), [])
agent("push", "--all")
holds_to(gateway.exposition(), agent.records())

# The next night tells it everything as well.
gateway.kill()
gateway = Pushgateway(port=port)
agent("run")
holds_to(gateway.exposition(), agent.records())
equal("two nights", gateway.exposition().value("mutation_batches_total", status="completed"), 2)
agent("audit", "verify", "--gateway")

print("undelivered is 75; push, push --all and the next night deliver")
