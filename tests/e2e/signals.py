#!/usr/bin/env python3
"""Signals in every phase of a start that touches the disk: while the strategies are read, the recovery, the
candidates, the seal, the state, the tidying up. What waits for a gateway is in tests/it/signals.rs.

A preloaded library holds the agent at a call of the phase, and the signal comes then. Whatever comes of it, the
agent leaves within shutdown_timeout, and the next start counts what is on record, once.
"""

import shutil
import signal
import time

from lib import Agent, Held, Pushgateway, config, equal, holds_to, read_log, wait_for

# Seconds that a call is held: so that the signal comes first, or past shutdown_timeout.
SHORT, LONG = 0.3, 20
TIMEOUT = 3
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}

holder = Held()


class Phase:
    """A phase by a call in it, and what a signal in it makes of a start."""

    def __init__(self, name, call, when, exits, batches, path=""):
        self.name, self.call, self.when, self.path = name, call, when, path
        # The exit code, or None for the one of the signal; -1 where the signal just ends the process.
        self.exits, self.batches = exits, batches

    def start(self, agent, seconds):
        """The agent, held in the phase."""
        environment, mark, _ = holder.at(self.call, self.when, self.path, seconds)
        process = agent.start("run", environment=environment)
        wait_for(f"the phase {self.name}", mark.exists)
        return process


# Of a folder with a sealed batch and, for the recovery, an open one. A batch without candidates renames its first
# manifest, its last, the journal, latest.jsonl and the state, in this order. A rename goes by its new name.
PHASES = [
    Phase("strategies", "openat", 1, -1, [], path="examples/strategies/momentum.py"),
    Phase("recovery", "rename", 1, None, ["crashed"], path=".jsonl"),
    Phase("first manifest", "rename", 1, None, ["interrupted"]),
    Phase("candidates", "mkdir", 3, 0, ["completed"], path="evolved/."),
    Phase("last manifest", "rename", 2, 0, ["completed"]),
    Phase("seal", "rename", 1, 0, ["completed"], path=".jsonl"),
    Phase("latest", "rename", 1, 0, ["completed"], path="latest.jsonl"),
    Phase("state", "rename", 1, 0, ["completed"], path="state.json"),
    Phase("tidy", "rename", 1, 0, ["completed"], path=".jsonl.zst"),
]

gateway = Pushgateway()
home = Agent(config(rounds=2, mutations=20))
home("run")
calm = home.folder / "mutation-data"
home("run", "--rounds", 100, exits=-9, before=(
    "strace", "-f", "-qq", "-o", "/dev/null", "--trace=fdatasync", "--inject=fdatasync:signal=KILL:when=9"))
killed = home.folder.parent / "killed"
calm.rename(killed)
lines = len(read_log(next((killed / "audit").glob("*.partial"))))


def prepared(phase):
    """An agent before the phase."""
    keep = 1 if phase.name == "candidates" else 0
    text = config(gateway.url, rounds=2, mutations=20, instance="signals")
    text = text.replace("[batch]", f'[batch]\nshutdown_timeout = "{TIMEOUT}s"')
    agent = Agent(f"{text}\n[output]\nkeep = {keep}\n")
    shutil.copytree(killed, agent.folder / "mutation-data", symlinks=True)
    if phase.name != "recovery":
        # The next batch starts beside two sealed ones.
        agent("push")
    return agent


def check(agent, where):
    """The next start counts what is on record, once; gives the status of each batch."""
    agent("push", "--all")
    shown = gateway.exposition()
    holds_to(shown, agent.records(), instance="signals")
    equal(f"the killed batch {where}", len(read_log(agent.batches()[1])), lines)
    statuses = [agent.manifest(log)["status"] for log in agent.batches()]
    for status in ("completed", "interrupted", "crashed", "failed"):
        equal(f"{status} {where}", shown.value("mutation_batches_total", status=status), statuses.count(status))
    equal(f"open journals {where}", list(agent.audit.glob("*.partial")), [])
    agent("run")
    holds_to(gateway.exposition(), agent.records(), instance="signals")
    return statuses


def stopped(phase, seconds, signals, where):
    """Signals in a phase: exit code, seconds until the end, and what became of the batches after the killed one."""
    agent = prepared(phase)
    process = phase.start(agent, seconds)
    began = time.monotonic()
    process.send_signal(signals[0])
    for second in signals[1:]:
        wait_for("the first to be heard", lambda: "asked to stop" in process.stderr.readline())
        process.send_signal(second)
    said = process.communicate(timeout=LONG + 10)[1]
    took = time.monotonic() - began
    assert "panicked" not in said, said
    print(f"{where}: exit code {process.returncode} in {took:.1f} s")
    if phase.name == "tidy" and seconds == SHORT:
        # The one that was under way; the other one is left to the next night.
        equal(f"packed {where}", len(list(agent.audit.glob("*.zst"))), 1)
    statuses = check(agent, where)
    shutil.rmtree(agent.folder.parent)
    return process.returncode, took, statuses[1 if phase.name == "recovery" else 2:]


tried = 0
for phase in PHASES:
    for sent, code in SIGNALS.items():
        where = f"after {sent.name} in the phase {phase.name}"
        exits, took, statuses = stopped(phase, SHORT, [sent], where)
        equal(f"exit code {where}", exits, {None: code, -1: -sent}.get(phase.exits, phase.exits))
        assert took < TIMEOUT, f"{took:.1f} s {where}"
        equal(f"batches {where}", statuses, phase.batches)
        tried += 1

# A disk that does not answer: shutdown_timeout holds, or a second signal. In the phase of the strategies the first
# one has ended all.
for phase in PHASES[1:]:
    for signals in ([signal.SIGTERM], [signal.SIGTERM, signal.SIGHUP], [signal.SIGHUP, signal.SIGINT]):
        where = f"after {' and '.join(sent.name for sent in signals)} on a dead disk in the phase {phase.name}"
        exits, took, _ = stopped(phase, LONG, signals, where)
        equal(f"exit code {where}", exits, SIGNALS[signals[0]])
        assert took < (TIMEOUT + 2 if len(signals) == 1 else TIMEOUT - 1), f"{took:.1f} s {where}"
        tried += 1

print(f"{tried} signals in {len(PHASES)} phases: left in time, and what is on record counts once")
