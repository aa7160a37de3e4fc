#!/usr/bin/env python3
"""Two starts at the same instant, a hundred times: one runs, the other one exits 75 and has touched nothing.

Half of them are the first start ever, when there is no folder yet. The one that runs is held before its seal until
the other one has ended, so that it cannot be that one comes after the other.
"""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from lib import Agent, Held, Pushgateway, config, equal, holds_to, wait_for

TIMES = 100
# Calls that change a folder, as strace prints them; a file opened for writing is one.
CHANGES = re.compile(
    r"^\d+ +(?:(?:mkdir|rename|unlink|symlink|link|ftruncate|truncate|chmod|fchmod|rmdir)\w*\(|open\w*\(.*O_(?:WRONLY|RDWR|CREAT))"
)

holder = Held()
gateway = Pushgateway()
gates = []


def at_once(agent, commands, before=((), ()), environment=None):
    """Starts these commands at the same instant."""
    gate = Path(tempfile.mkdtemp(dir=holder.folder)) / "gate"
    os.mkfifo(gate)
    waiting = ("sh", "-c", ': >"$0.$$"; : <"$0"; exec "$@"', str(gate))
    started = [
        agent.start(*command, before=(*trace, *waiting), environment=environment)
        for command, trace in zip(commands, before)
    ]
    # Each says that it is there, and then waits for somebody at the other end, which stays open for the later one.
    wait_for("both at the gate", lambda: len(list(gate.parent.glob("gate.*"))) == len(started))
    gates.append(os.open(gate, os.O_WRONLY))
    return started


def ended(process):
    """The exit code and what was said."""
    said = process.communicate(timeout=60)[1]
    assert "panicked" not in said, said
    return process.returncode, said


def changes(trace):
    """What a traced process has changed, but for the lock's file, which it must open."""
    lines = [line for line in trace.read_text().splitlines() if CHANGES.match(line)]
    return [line for line in lines if '/lock", ' not in line and "/dev/" not in line
            and "/gate" not in line and "EEXIST" not in line]


agent = None
traced = 0
for turn in range(TIMES):
    if turn < TIMES // 2 or agent is None:
        # The first start ever.
        if agent:
            shutil.rmtree(agent.folder.parent)
        agent = Agent(config(gateway.url, rounds=2, mutations=10, instance="starts"))
    runs = len(agent.batches())
    environment, mark, until = holder.at("rename", path=".jsonl", seconds=60)
    traces = [agent.folder.parent / f"trace-{number}" for number in (1, 2)]
    before = ((), ())
    if turn % 5 == 0:
        # strace hands our exit code on, and its own environment to the agent.
        before = [("strace", "-f", "-qq", "-o", str(trace), "--trace=%file,ftruncate,fchmod") for trace in traces]
    both = at_once(agent, [["run"], ["run"]], before, environment)
    wait_for("one of them to end", lambda: any(process.poll() is not None for process in both))
    wait_for("the other to come to its seal", mark.exists)
    [loser] = [number for number, process in enumerate(both) if process.poll() is not None]
    code, said = ended(both[loser])
    equal(f"exit code of the second: {said}", code, 75)
    assert "another mutation-agent is at work" in said, said
    if before[0]:
        allowed = ("mkdir(",) if turn < TIMES // 2 else ()
        found = [line for line in changes(traces[loser]) if not any(call in line for call in allowed)]
        equal(f"what the second has changed in turn {turn}", found, [])
        assert changes(traces[1 - loser]), "the trace shows nothing of the first either"
        traced += 1
    until.touch()
    code, said = ended(both[1 - loser])
    equal(f"exit code of the first: {said}", code, 0)
    assert "was killed" not in said, said
    equal("batches", len(agent.batches()), runs + 1)
    holds_to(gateway.exposition(), agent.records(), instance="starts")

# `push` and `run` at once: whoever comes second is told so, or comes after the other; nothing is counted twice.
pairs = []
for turn in range(20):
    both = at_once(agent, [["run"], ["push", "--all"]])
    codes = tuple(ended(process)[0] for process in both)
    assert codes in ((0, 0), (0, 75), (75, 0)), codes
    pairs.append(codes)
    agent("push", "--all")
    holds_to(gateway.exposition(), agent.records(), instance="starts")

# A lock file that a dead process has left is no obstacle, whatever stands in it.
environment, mark, _ = holder.at("rename", path=".jsonl")
process = agent.start("run", environment=environment)
wait_for("the seal", mark.exists)
process.send_signal(signal.SIGKILL)
equal("killed", ended(process)[0], -9)
(agent.audit.parent / "lock").write_text(f"{process.pid}\n")
agent("run")
holds_to(gateway.exposition(), agent.records(), instance="starts")

# Beside a batch at work, those who only look are let in, and see whole lines.
environment, mark, until = holder.at("rename", path=".jsonl")
process = agent.start("run", environment=environment)
wait_for("the seal", mark.exists)
agent("check")
agent("stats", "--json")
agent("run", "--dry-run")
agent("push", exits=75)
until.touch()
equal("exit code of the one at work", ended(process)[0], 0)
holds_to(gateway.exposition(), agent.records(), instance="starts")

alone = sum(75 in pair for pair in pairs)
print(f"{TIMES} pairs of starts: one ran, one ended with 75 ({traced} traced: it changed nothing); "
      f"20 of run and push, {alone} times one of them was told to wait")
