#!/usr/bin/env python3
"""The example evaluator as a host runs it: in both modes, for every example strategy, with the same answers as by hand;
and real Python evaluators that fork, change their session and ignore signals, under a parent that is killed.

The parent here speaks to hosts as the agent does, so that it can be stopped at any instant without a batch around it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from lib import BINARY, ENVIRONMENT, ROOT, equal, temporary_folder, wait_for

EVALUATOR = ROOT / "examples/evaluators/backtest.py"
STRATEGIES = sorted((ROOT / "examples/strategies").glob("*.py"))
MARK = "EVALUATOR_E2E"

# Forks twice into a session of its own, closes everything, ignores what can be ignored, and stays.
DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        os.closerange(0, 100)
        time.sleep(1000)
    os._exit(0)
print(1, flush=True)
time.sleep(float(sys.argv[2]))
"""


class Host:
    """A host and its pipes."""

    def __init__(self, mode, command, timeout=60, mark="none", folder=ROOT, **limits):
        self.process = subprocess.Popen(
            [str(BINARY), "evaluator-host"], env=ENVIRONMENT | {MARK: mark}, cwd=folder,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        timeout = {"secs": int(timeout), "nanos": int(timeout % 1 * 1e9)}
        self.say({"batch_id": "e2e", "mode": mode, "command": command, "timeout": timeout,
                  "memory": None, "cpu": None, "in_flight": 1} | limits)
        equal("the first report", self.hear(), "ready")

    def say(self, line):
        """A line to it."""
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def hear(self):
        """A line from it."""
        return json.loads(self.process.stdout.readline())

    def order(self, number, candidate):
        """Asks for an evaluation."""
        self.say({"number": number, "mutation_id": f"m{number}", "strategy": "s.py", "candidate": str(candidate),
                  "parameters": {}, "seed": number})

    def judge(self, number, candidate):
        """An evaluation's verdict."""
        self.order(number, candidate)
        done = self.hear()["done"]
        equal("the answer's number", done["number"], number)
        return done["verdict"]

    def dismiss(self):
        """It ends by itself."""
        self.process.stdin.close()
        equal("a host's exit code", self.process.wait(timeout=20), 0)


def marked(mark):
    """The processes of a test, zombies left out."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder.name, (folder / "cmdline").read_bytes()))
        except OSError:
            # It ended meanwhile.
            pass
    return found


def the_example_judges_every_strategy_alike_in_both_modes():
    """By hand, for each candidate, in a stream; a changed literal is another fitness."""
    single = Host("process", [sys.executable, str(EVALUATOR), "{candidate}"])
    stream = Host("stream", [sys.executable, str(EVALUATOR), "--stream"])
    folder = temporary_folder()
    took = {"process": 0.0, "stream": 0.0}
    for number, strategy in enumerate(STRATEGIES):
        by_hand = json.loads(subprocess.run([EVALUATOR, strategy], capture_output=True, text=True, check=True).stdout)
        changed = folder / strategy.name
        source = strategy.read_text()
        changed.write_text(re.sub(r"(trailing_stop_offset(?:: float)? ?= ?)[\d.e-]+", r"\g<1>0.041", source))
        assert changed.read_text() != source, strategy
        for name, host in (("process", single), ("stream", stream)):
            began = time.monotonic()
            verdict = host.judge(2 * number, strategy)
            took[name] += time.monotonic() - began
            equal(f"{strategy.name}, {name}", verdict, {"fitness": by_hand})
            other = host.judge(2 * number + 1, changed)["fitness"]["fitness"]
            assert other != by_hand["fitness"], f"{strategy.name}: {other}"
        holdout = subprocess.run([EVALUATOR, "--holdout", strategy], capture_output=True, text=True, check=True).stdout
        assert json.loads(holdout)["fitness"] != by_hand["fitness"], strategy
    broken = folder / "broken.py"
    broken.write_text("stop_loss_pct = 0.1\n")
    for host in (single, stream):
        verdict = host.judge(99, broken)
        assert "says nothing of take_profit_pct" in verdict["failed"], verdict
        assert "fitness" in host.judge(100, STRATEGIES[0])
        host.dismiss()
    return took


def the_prices_are_what_the_generator_prints():
    """So that nobody has to take them on trust."""
    made = subprocess.run([EVALUATOR, "--make-prices"], capture_output=True, text=True, check=True).stdout
    equal("prices.csv", made, EVALUATOR.with_name("prices.csv").read_text())


def nobody_outlives_an_evaluation():
    """A daemon after a normal end, and after a time-out."""
    for seconds, verdict in (("0", {"fitness": {"fitness": 1.0, "metrics": {}}}), ("1000", None)):
        host = Host("process", [sys.executable, "-c", DAEMON, "{candidate}", seconds], timeout=1, mark=f"end-{seconds}")
        found = host.judge(1, "x")
        if verdict:
            equal("verdict", found, verdict)
        else:
            assert found["timeout"].startswith("no answer within 1s"), found
        equal("only the host is left", len(marked(f"end-{seconds}")), 1)
        host.dismiss()


def parent(mark):
    """Not a check but what is killed: hosts with evaluators that are hard to get rid of, without end."""
    hosts = [Host("process", [sys.executable, "-c", DAEMON, "{candidate}", "1000"], mark=mark) for _ in range(3)]
    for host in hosts:
        host.order(1, "x")
    print("up", flush=True)
    signal.pause()


def nobody_outlives_a_killed_parent(instants=12):
    """SIGKILL at ever later instants of its life; then nothing is left within the grace."""
    for number in range(instants):
        mark = f"{os.getpid()}-{number}"
        child = subprocess.Popen([sys.executable, __file__, mark], env=os.environ | {MARK: mark}, stdout=subprocess.PIPE)
        # Any instant is meant, so there is nothing to wait for; in the last ones the evaluators are up.
        time.sleep(number * 0.04)
        if number >= instants - 3:
            equal("the parent", child.stdout.readline(), b"up\n")
            wait_for("daemons", lambda mark=mark: len(marked(mark)) >= 10)
        child.kill()
        child.wait()
        wait_for("the end of all", lambda mark=mark: not marked(mark), seconds=10)


def ten_thousand_evaluations_leave_no_trace():
    """Descriptors and children of a host before and after."""
    host = Host("process", ["echo", "1", "{candidate}"], mark="many")
    process = Path(f"/proc/{host.process.pid}")
    count = lambda: (len(list((process / "fd").iterdir())), len(marked("many")))
    for number in range(10_000):
        host.order(number, "\n0.5")
        equal("verdict", host.hear()["done"]["verdict"]["fitness"]["fitness"], 0.5)
        if number == 0:
            before = count()
    equal("descriptors and processes", count(), before)
    host.dismiss()


if len(sys.argv) > 1:
    parent(sys.argv[1])
else:
    took = the_example_judges_every_strategy_alike_in_both_modes()
    the_prices_are_what_the_generator_prints()
    nobody_outlives_an_evaluation()
    nobody_outlives_a_killed_parent()
    ten_thousand_evaluations_leave_no_trace()
    print(f"{len(STRATEGIES)} strategies alike in both modes ({took['process'] / len(STRATEGIES) * 1000:.0f} ms a process, "
          f"{took['stream'] / len(STRATEGIES) * 1000:.0f} ms in a stream), nobody outlived 12 kills, 10000 evaluations")
