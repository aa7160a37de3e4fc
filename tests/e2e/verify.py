#!/usr/bin/env python3
"""`audit verify --gateway` against a real Pushgateway: equal after a batch, and by how much not after tampering."""

import shutil
import signal
import urllib.error
import urllib.request

from lib import Agent, Pushgateway, config, end, equal, wait_for

gateway = Pushgateway()
agent = Agent(config(gateway.url))
group = f"{gateway.url}/metrics/job/exit_evolution/instance/e2e"


def request(method, body=None, url=group):
    """Somebody else's request to the gateway."""
    asked = urllib.request.Request(url, method=method, data=body)
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10).close()


def said(exits):
    """The lines that are said of the only gateway and of the folder, and the last line."""
    *lines, last = agent("audit", "verify", "--gateway", exits=exits).stdout.splitlines()
    return [line.split(": ", 1)[1] if line.startswith("gateway ") else line for line in lines], last


def total():
    """What the gateway shows of our group, and not of the narrower one."""
    found = gateway.exposition().all("exit_mutations_total", instance="e2e")
    return next(value for labels, value in found if "shard" not in labels)


agent("run")
agent("run")
lines, last = said(0)
assert lines[0].startswith("shows what the audit has ("), lines
equal("the audit", last, "2 batches, 400 records verified: sound")
compared = int(lines[0].split("(")[1].split()[0])
assert compared > 80, compared

# Somebody posts a wrong counter: POST replaces that family alone.
request("POST", b"# TYPE exit_mutations_total counter\nexit_mutations_total 390\n")
lines, _ = said(75)
equal("10 less", lines[0], "exit_mutations_total shows 390, the audit has 400: 10 less")
equal("one series and what to do", len(lines), 2)
agent("push", "--all")
said(0)

# A family of somebody else's in our group.
request("POST", b"# TYPE alien_total counter\nalien_total 5\n")
lines, _ = said(75)
equal("alien", lines[0], "alien_total is shown in our group and is none of ours")
agent("push", "--all")
said(0)

# A failed push of somebody else's into our group changes nothing but push_failure_time_seconds.
try:
    request("POST", b"exit_mutations_total 1 1700000000000\n")
except urllib.error.HTTPError as error:
    equal("refused", error.code, 400)
said(0)

# The group is deleted.
request("DELETE")
lines, _ = said(75)
assert "shows nothing of {job=" in lines[0] and "push --all" in lines[0], lines
agent("push", "--all")
said(0)

# A group with one label more is another one.
request("PUT", b"# TYPE exit_mutations_total counter\nexit_mutations_total 7\n", f"{group}/shard/a")
said(0)

# Groups whose names a path cannot carry, or that have no instance, are found again.
for grouping in ('{ instance = "e2e", path = "a/b" }', '{ note = "é \\"x\\\\" }', "{}"):
    odd = Agent(config(gateway.url).replace('{ instance = "e2e" }', grouping))
    odd("run")
    assert "shows what the audit has (" in odd("audit", "verify", "--gateway").stdout, grouping
said(0)

# The gateway was restarted from an older snapshot.
gateway.process.send_signal(signal.SIGTERM)
gateway.process.wait()
shutil.copy(gateway.folder / "gateway.db", gateway.folder / "older.db")
gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
said(0)
agent("run")
said(0)
gateway.kill()
shutil.copy(gateway.folder / "older.db", gateway.folder / "gateway.db")
gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
lines, _ = said(75)
equal("a night less", lines[0], "exit_mutations_total shows 400, the audit has 600: 200 less")
assert any("push --all" in line for line in lines), lines
agent("push", "--all")
said(0)

# While a batch runs, whatever it has pushed so far lies between the sealed batches and its whole lines.
text = (agent.folder / "agent.toml").read_text()
agent.configure(text + 'interval = "1s"\n')
running = agent.start("run", "--rounds", "1000000", "--mutations", "100")
wait_for("a push in the middle", lambda: total() > 600)
running.send_signal(signal.SIGSTOP)
lines, last = said(0)
assert any("shows what the sealed batches have, or with lines of the open one" in line for line in lines), lines
assert any("is open with" in line for line in lines), lines
equal("the audit", last, "3 batches, 600 records verified: sound")
running.send_signal(signal.SIGKILL)
end(running)
said(0)
agent("run", "--rounds", "1")
lines, _ = said(0)

# Pruned batches are compared by the totals that the oldest manifest has.
agent.configure(text + '[audit]\nretention = { batches = 2 }\n')
agent("audit", "prune")
equal("two are left", len(agent.batches()), 2)
_, last = said(0)
assert last.startswith("2 batches, ") and last.endswith(": sound"), last

# A gateway that is away, and an audit that is not as it was written.
gateway.kill()
lines, last = said(75)
assert "cannot be asked: " in lines[0] and "is the gateway running" in lines[0], lines
log = agent.batches()[-1]
log.write_bytes(log.read_bytes()[:-1000])
_, last = said(65)
assert last.endswith(": 1 finding"), last

print(f"{compared} series held to the audit; a wrong counter, a lost group, an older snapshot and an open batch are told apart")
