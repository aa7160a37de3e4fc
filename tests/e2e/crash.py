#!/usr/bin/env python3
"""SIGKILL at every step that touches the disk: the next start counts what is on record, once.

strace kills the agent at the first, second, third … call of a kind, until a batch is through before its turn comes.
"""

import shutil

from lib import Agent, Pushgateway, config, equal, holds_to, read_log

# The calls by which a batch leaves something behind.
CALLS = ["write", "fdatasync", "fsync", "rename", "symlink", "unlink", "ftruncate"]
TOTALS = ("exit_mutations_total", "exit_mutations_success", "exit_mutation_duration_seconds_count")
STATUSES = ("completed", "failed", "interrupted", "crashed")


def killed_at(call, turn):
    """The program to run the agent under: kills it at its main thread's `turn`-th `call`."""
    families = {"rename": "rename,renameat,renameat2", "symlink": "symlink,symlinkat", "unlink": "unlink,unlinkat"}
    calls = families.get(call, call)
    return ("strace", "-f", "-qq", "-o", "/dev/null", f"--trace={calls}", f"--inject={calls}:signal=KILL:when={turn}")


def batches(shown):
    """How many batches ended in each way."""
    return {status: shown.value("mutation_batches_total", status=status) for status in STATUSES}


gateway = Pushgateway()
# One kill in the middle, told in full.
agent = Agent(config(gateway.url, rounds=2, mutations=20))
agent("run", "--rounds", 100, exits=-9, before=killed_at("fdatasync", 30))
[journal] = agent.audit.glob("*.partial")
lines = len(read_log(journal))
assert lines >= 500, f"only {lines} lines were on record"
agent("push")
shown = gateway.exposition()
equal("the crashed batch's log", [len(read_log(log)) for log in agent.batches()], [lines])
equal("its status", agent.manifest(agent.batches()[0])["status"], "crashed")
holds_to(shown, agent.records())
equal("batches", batches(shown), {"completed": 0, "failed": 0, "interrupted": 0, "crashed": 1})
assert not shown.all("mutation_batch_last_success_timestamp_seconds"), "a crash is no success"
for night in (1, 2):
    agent("run")
    shown = gateway.exposition()
    holds_to(shown, agent.records())
    equal("batches", batches(shown), {"completed": night, "failed": 0, "interrupted": 0, "crashed": 1})

# Half a line at the end: cut, kept aside, counted by its whole lines.
agent("run", "--rounds", 100, exits=-9, before=killed_at("fdatasync", 5))
[journal] = agent.audit.glob("*.partial")
lines = len(read_log(journal))
with journal.open("ab") as file:
    file.write(b'{"timestamp":"2026-')
agent("run")
equal("whole lines", len(read_log(agent.batches()[-2])), lines)
[broken] = agent.audit.glob("*.broken")
equal("what was cut", broken.read_bytes(), b'{"timestamp":"2026-')
holds_to(gateway.exposition(), agent.records())

calm = Agent(config(gateway.url, rounds=2, mutations=20))
calm("run")

# Everywhere. The second batch is the one that is killed, so that there is something to fold, to pack and to show.
kills = 0
for call in CALLS:
    for turn in range(1, 1000):
        where = f"after a kill at {call} number {turn}"
        agent = Agent(config(gateway.url, rounds=2, mutations=20) + "\n[audit]\nbuffer = 20\n[output]\nkeep = 1\n")
        shutil.copytree(calm.folder / "mutation-data", agent.folder / "mutation-data", symlinks=True)
        agent("push", "--all")
        last = gateway.exposition()
        done = agent("run", exits=None, before=killed_at(call, turn))
        # What a kill leaves behind is no sign that somebody changed something.
        agent("audit", "verify")
        agent("push")
        shown = gateway.exposition()
        holds_to(shown, agent.records())
        for name in TOTALS:
            assert shown.value(name) >= last.value(name), f"{name} went back {where}"
        statuses = [agent.manifest(log)["status"] for log in agent.batches()]
        equal(f"batches {where}", batches(shown), {name: statuses.count(name) for name in STATUSES})
        equal(f"open journals {where}", list(agent.audit.glob("*.partial")), [])
        agent("audit", "verify", "--gateway")
        agent("run")
        holds_to(gateway.exposition(), agent.records())
        shutil.rmtree(agent.folder)
        if done.returncode == 0:
            break
        equal(f"exit code {where}", done.returncode, -9)
        kills += 1
        print(where)
    else:
        raise AssertionError(f"no end of {call}")
assert kills > 20, f"only {kills} kills"

# A prune that is killed: the chain is sound, the next one goes to the end, and the totals are what they were.
agent = Agent(config(gateway.url, rounds=1, mutations=10, instance="pruned"))
for _ in range(4):
    agent("run")
agent.configure((agent.folder / "agent.toml").read_text() + "[audit]\nretention = { batches = 2 }\n")
before = agent.folder / "before"
shutil.copytree(agent.folder / "mutation-data", before, symlinks=True)
prunes = 0
for call in ("write", "fsync", "rename", "unlink"):
    for turn in range(1, 100):
        shutil.rmtree(agent.folder / "mutation-data")
        shutil.copytree(before, agent.folder / "mutation-data", symlinks=True)
        done = agent("audit", "prune", exits=None, before=killed_at(call, turn))
        agent("audit", "verify", "--gateway")
        agent("audit", "prune")
        verified = agent("audit", "verify", "--gateway").stdout
        assert verified.endswith("2 batches, 20 records verified: sound\n"), f"{call} {turn}: {verified}"
        equal("files", len(list(agent.audit.iterdir())), 5)
        if done.returncode == 0:
            break
        equal(f"exit code after a kill at {call} number {turn}", done.returncode, -9)
        prunes += 1
assert prunes > 8, f"only {prunes} kills of a prune"

print(f"{kills + prunes} kills over {', '.join(CALLS)}: each start counts what is on record, once, and no counter goes back")
