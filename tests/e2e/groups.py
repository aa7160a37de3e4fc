#!/usr/bin/env python3
"""Several writers on one gateway: a failed night, a foreign group and a second host disturb nobody."""

import urllib.request

from lib import Agent, Pushgateway, config, equal, holds_to

gateway = Pushgateway()
foreign = urllib.request.Request(
    f"{gateway.url}/metrics/job/exit_evolution/instance/foreign", method="PUT",
    data=b"# TYPE exit_mutations_total counter\nexit_mutations_total 7\n",
)
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(foreign, timeout=10).close()

first = Agent(config(gateway.url, instance="host-a"))
first("run")
good = gateway.exposition()

# A night over strategies without a single target fails, and keeps what the good night said.
text = (first.folder / "agent.toml").read_text()
first.configure(text + '\n[[parameter]]\nname = "nowhere_to_be_found"\nmin = 1\nmax = 2\n')
first("run", exits=65)
bad = gateway.exposition()
last_success = "mutation_batch_last_success_timestamp_seconds"
equal(last_success, bad.value(last_success, instance="host-a"), good.value(last_success, instance="host-a"))
start = "mutation_batch_last_start_timestamp_seconds"
assert bad.value(start, instance="host-a") > good.value(start, instance="host-a"), "the failed batch does not show"
equal("exit code", bad.value("mutation_batch_last_exit_code", instance="host-a"), 65)
equal("failed", bad.value("mutation_batches_total", instance="host-a", status="failed"), 1)
holds_to(bad, first.records(), instance="host-a")

# A second host with a data folder of its own counts for itself.
second = Agent(config(gateway.url, rounds=2, instance="host-b"))
second("run")
both = gateway.exposition()
holds_to(both, first.records(), instance="host-a")
holds_to(both, second.records(), instance="host-b")
first("audit", "verify", "--gateway")
second("audit", "verify", "--gateway")
equal("the foreign group", both.value("exit_mutations_total", instance="foreign"), 7)
equal("groups", len(both.all("push_time_seconds", job="exit_evolution")), 3)

print("a failed night keeps last_success; three groups on one gateway stay apart")
