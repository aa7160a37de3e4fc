#!/usr/bin/env python3
"""What Prometheus makes of it: promtool has one complaint, and a real Prometheus counts across nights."""

import json
import subprocess
import urllib.parse

from lib import (
    ENVIRONMENT, Agent, Exposition, Pushgateway, atexit, close, config, end, equal, free_port, get, temporary_folder,
    wait_for,
)

gateway = Pushgateway()
agent = Agent(config(gateway.url))
textfile = agent.folder / "mutation_agent.prom"
agent.configure(config(gateway.url) + f'\n[metrics]\ntextfile = "{textfile}"\n')
agent("run")
shown = gateway.exposition()


def complaints(text):
    """What promtool says about an exposition, a line each; it must be able to parse it."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, env=ENVIRONMENT, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    return done.stderr.splitlines()


# The given name of one counter lacks `_total`; everything else is as it should be.
alone = ['exit_mutations_success counter metrics should have "_total" suffix']
equal("promtool on the gateway's exposition", complaints(shown.ours()), alone)
equal("promtool on the textfile", complaints(textfile.read_text()), alone)
on_disk = Exposition(textfile.read_text())
for name in ("exit_mutations_total", "exit_mutations_success", "exit_mutation_duration_seconds_count"):
    equal(f"{name} in the textfile", on_disk.value(name), shown.value(name))

# A real Prometheus scrapes the gateway, keeping the labels that we pushed.
folder = temporary_folder()
port = free_port()
(folder / "prometheus.yml").write_text(f"""
global:
  scrape_interval: 1s
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:{gateway.port}"]
""")
with (folder / "prometheus.log").open("w") as log:
    server = subprocess.Popen(
        ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=log, stderr=log, env=ENVIRONMENT,
    )
atexit.register(end, server)


def ask(query):
    """The value that Prometheus answers with, if it has one."""
    assert server.poll() is None, (folder / "prometheus.log").read_text()
    try:
        answer = get(f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    except OSError:
        # It is starting.
        return None
    results = json.loads(answer)["data"]["result"]
    return float(results[0]["value"][1]) if results else None


total = 'exit_mutations_total{job="exit_evolution",instance="e2e"}'
wait_for("the first scrapes", lambda: (ask(f"count_over_time({total}[1m])") or 0) >= 2)
equal("exit_mutations_total", ask(total), shown.value("exit_mutations_total"))

agent("run", "--rounds", 7)
after = gateway.exposition().value("exit_mutations_total")
equal("two nights", after, 480)
wait_for("the second night", lambda: ask(total) == after)
equal("resets", ask(f"resets({total}[5m])"), 0)
equal("seen growth", ask(f"max_over_time({total}[5m]) - min_over_time({total}[5m])"), 280)
# increase() extrapolates to the edges of the window; a counter that was reset would show nothing like it.
wait_for("scrapes after the second night", lambda: ask(f"count_over_time({total}[1m])") >= 6)
close("increase", ask(f"increase({total}[5m])"), 280, 0.5)
mean = "rate(exit_mutation_duration_seconds_sum[5m]) / rate(exit_mutation_duration_seconds_count[5m])"
assert 0 < ask(mean) < 1, ask(mean)
assert 0 < ask("histogram_quantile(0.95, rate(exit_mutation_duration_seconds_bucket[5m]))") < 1

print("promtool complains about exit_mutations_success alone; Prometheus counts 480 mutations in two nights")
