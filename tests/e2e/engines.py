#!/usr/bin/env python3
"""Evaluation on engines: a night on Ray and one on Dask, each with two workers of which one is killed in the middle of an
evaluation; and an engine that stops reading with a thousand evaluations in flight.

Nothing is lost, nothing is on record twice, a real Pushgateway shows what the audit says, and an engine that is slow costs
neither memory nor descriptors nor processor time.
"""

import atexit
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from lib import ROOT, Pushgateway, equal, holds_to, wait_for
from nights import EVALUATED, Nights

ADAPTERS = ROOT / "examples/evaluators"
ROUNDS, MUTATIONS = 4, 50
# The evaluation in which a worker is killed.
HELD = 100
# Each start and each end is a line; the one that is held waits until its worker is killed, and is done again.
MODULE = f"""
import os, time
from pathlib import Path

def note(what, seed):
    log = os.open("FOLDER/tasks.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{{what}} {{os.getpid()}} {{seed}}\\n".encode())
    os.close(log)

def evaluate(path, seed):
    note("start", seed)
    starts = [line.split() for line in Path("FOLDER/tasks.log").read_text().splitlines() if line.startswith("start")]
    while len(starts) >= {HELD} and starts[{HELD} - 1] == ["start", str(os.getpid()), str(seed)]:
        time.sleep(0.1)
    values = {{}}
    exec(Path(path).read_text(), values)
    note("end", seed)
    return {{"fitness": -values["stop_loss_pct"], "metrics": {{"pid": os.getpid()}}}}
"""
# Reads three requests, then none until it may; then it is done with the newest of what it has first.
STALLED = """
import json, os, sys, time
from pathlib import Path
def answer(line):
    job = json.loads(line)
    print(json.dumps({"id": job["id"], "fitness": -job["parameters"]["stop_loss_pct"]}), flush=True)
read = sys.stdin.buffer.raw.readline
answer(read())
asked = [read() for _ in range(3)]
Path("stalled").write_text(str(os.getppid()))
while not Path("go").exists():
    time.sleep(0.02)
while asked:
    answer(asked.pop())
    line = asked or read()
    asked = asked or ([line] if line else [])
"""


def ray():
    """The words that start Ray: in a network of its own, since it listens on every address; its paths may not be long."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    options = {
        "num_cpus": 2, "object_store_memory": 100_000_000, "_node_ip_address": "127.0.0.1", "_temp_dir": folder,
    }
    alone = ["unshare", "--net", *(["--map-root-user"] if os.geteuid() else [])]
    up = 'ip link set lo up && exec "$@"'
    return ["env", f"HOME={folder}", *alone, "sh", "-c", up, "sh"], "ray_adapter.py", options


def dask():
    """The words that start Dask."""
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    return [], "dask_adapter.py", options


class Engine(Nights):
    """An agent that judges on an engine and pushes to a gateway."""

    def __init__(self, command, gateway=None, **settings):
        self.gateway = gateway
        super().__init__(command, **settings)

    def configure(self, config):
        """With the gateway."""
        if self.gateway and "[[gateway]]" not in config:
            config += f'[[gateway]]\nurl = "{self.gateway.url}"\ngrouping = {{ instance = "engines" }}\n'
        super().configure(config)

    def tasks(self, what):
        """What the engine's workers have noted: process and seed."""
        path = self.folder / "tasks.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [tuple(map(int, line.split()[1:])) for line in lines if line.startswith(what)]


def a_night_loses_nothing_with_a_worker(engine):
    """One of two is killed while it judges; the batch does not notice."""
    before, adapter, options = engine()
    words = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    gateway = Pushgateway()
    night = Engine(
        [], gateway, batch=f"rounds = {ROUNDS}\nmutations_per_round = {MUTATIONS}\nseed = 7",
        evaluator='mode = "stream"\nin_flight = 32\ntimeout = "2m"', evolution="memory = 0",
    )
    module = night.folder / "module.py"
    module.write_text(MODULE.replace("FOLDER", str(night.folder)))
    night.judged_by([*before, sys.executable, str(ADAPTERS / adapter), str(module), *words])
    process = night.start("run")
    ended = lambda: process.poll() is not None
    wait_for("the engine", lambda: ended() or len(night.tasks("start")) >= HELD, seconds=120)
    assert not ended(), process.communicate()
    pid, seed = night.tasks("start")[HELD - 1]
    os.kill(pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=120)
    equal(f"{adapter}: exit code, {errors}", process.returncode, 0)
    records = night.records()
    ids = Counter(record["mutation_id"] for record in records)
    equal("mutations", sorted(ids), [f"exit_mut_{number:06}" for number in range(1, ROUNDS * MUTATIONS + 1)])
    equal("records of a mutation", set(ids.values()), {1})
    judged = [record for record in records if record["outcome"] in EVALUATED]
    equal("outcomes of what was judged", {record["outcome"] for record in judged}, {"success"})
    starts = Counter(seed for _, seed in night.tasks("start"))
    equal("evaluations", len(starts), len(judged) + 1)
    assert starts[seed] == 2, f"the evaluation of the killed worker was begun {starts[seed]} times"
    pids = {pid for pid, _ in night.tasks("end")}
    assert pid in {one for one, _ in night.tasks("start")} and len(pids) >= 2, f"workers: {pids}"
    holds_to(gateway.exposition(), records)
    night.holds()
    gateway.kill()
    return len(judged)


def held(pid):
    """Resident bytes, descriptors, and processor time in ticks."""
    process = Path(f"/proc/{pid}")
    resident = int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    fields = (process / "stat").read_text().rsplit(")", 1)[1].split()
    return resident, len(os.listdir(process / "fd")), int(fields[11]) + int(fields[12])


def stalled(night, in_flight):
    """A night whose engine reads no more, once the agent can do no more: the process, and its host's."""
    (night.folder / "engine.py").write_text(STALLED)
    for name in ("stalled", "go"):
        (night.folder / name).unlink(missing_ok=True)
    process = night.start("run")
    evaluating = night.folder / "mutation-data/evaluating"
    wait_for("the engine", lambda: (night.folder / "stalled").exists() or process.poll() is not None)
    places = lambda: len(list(evaluating.glob("*/*")))
    # One more is ready than may be in flight.
    wait_for("all that may be in flight", lambda: places() > in_flight or process.poll() is not None)
    host = int((night.folder / "stalled").read_text())
    return process, host, places


def an_engine_that_does_not_read_costs_nothing(in_flight=1000, mutations=2500):
    """Neither the agent nor the host grows, or works, while a thousand wait; and then all are judged."""
    night = Engine(
        [sys.executable, "engine.py"], batch=f"rounds = 1\nmutations_per_round = {mutations}\nseed = 7\nshutdown_timeout = \"10s\"",
        evaluator=f'mode = "stream"\nin_flight = {in_flight}\ntimeout = "5m"', evolution="memory = 0",
    )
    process, host, places = stalled(night, in_flight)
    pids = (process.pid, host)
    first = [held(pid) for pid in pids]
    began = time.monotonic()
    while time.monotonic() < began + 1.5:
        # What is seen is that nothing happens, so there is nothing to wait for.
        time.sleep(0.1)
        for (memory, descriptors, ticks), pid in zip(first, pids):
            now = held(pid)
            assert now[0] <= memory + (1 << 20), f"{pid} grew from {memory} to {now[0]} bytes"
            equal(f"descriptors of {pid}", now[1], descriptors)
            assert now[2] <= ticks + 15, f"{pid} worked for {now[2] - ticks} ticks"
    # The one that is ready, and the place of the last one that was judged.
    assert places() <= in_flight + 2, f"{places()} candidates wait"
    assert max(descriptors for _, descriptors, _ in first) < 64, first
    (night.folder / "go").touch()
    most = [memory for memory, _, _ in first]
    while process.poll() is None:
        try:
            most = [max(one, held(pid)[0]) for one, pid in zip(most, pids)]
        except (OSError, IndexError):
            break  # It has just ended.
        time.sleep(0.05)
    _, errors = process.communicate(timeout=60)
    equal(f"exit code, {errors}", process.returncode, 0)
    for (memory, _, _), after in zip(first, most):
        assert after < memory + (16 << 20), f"{memory} grew to {after} bytes"
    equal("records", len(night.records()), mutations)
    night.holds()
    process, _, _ = stalled(night, in_flight)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    took = time.monotonic() - began
    equal("exit code of the one that was stopped", process.returncode, 143)
    assert took < 10, f"{took:.1f} s to stop"
    night.holds()
    return first


evaluated = [a_night_loses_nothing_with_a_worker(engine) for engine in (ray, dask)]
(agent, _, _), (host, _, _) = an_engine_that_does_not_read_costs_nothing()
print(f"{evaluated[0]} evaluations on Ray and {evaluated[1]} on Dask with a worker killed, each on record once; 1000 in flight wait in "
      f"{agent / 2**20:.0f} MiB of the agent and {host / 2**20:.0f} MiB of the host")
