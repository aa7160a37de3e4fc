"""What the end-to-end checks share: the agent, real servers beside it, and independent readings of what they say.

Each check is a script of its own that needs nothing but the binary, the servers in the PATH and Python's standard
library (some of them packages of requirements.txt as well). Its last line on standard output sums up what it saw; an exit code other than 0
says that something is wrong.
"""

import atexit
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("MUTATION_AGENT", ROOT / "target/debug/mutation-agent"))
EXAMPLE = (ROOT / "agent.toml.example").read_text()
# Nothing of the caller's environment but where programs and temporary files are.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}

# SIGTERM ends a check as an exception does: servers are stopped, folders removed.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def temporary_folder():
    """A folder that goes when the check ends."""
    folder = Path(tempfile.mkdtemp(prefix="mutation-agent-e2e-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def equal(what, found, expected):
    """Fails with both values."""
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"


def close(what, found, expected, tolerance):
    """Fails where the two differ by more than the share `tolerance`."""
    assert abs(found - expected) <= tolerance * abs(expected), (
        f"{what}: found {found!r}, expected {expected!r} within {tolerance:.2%}"
    )


def wait_for(what, condition, seconds=30):
    """The condition's first answer that is true; polled, since nothing here tells us."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s in vain for {what}")


def free_port():
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Agent:
    """The program with a folder and a configuration of its own."""

    def __init__(self, config, strategies=ROOT / "examples/strategies", folder=None):
        self.folder = folder or temporary_folder() / "agent"
        self.folder.mkdir(exist_ok=True)
        if strategies:
            shutil.copytree(strategies, self.folder / "examples/strategies")
        self.configure(config)

    def configure(self, config):
        """Writes agent.toml."""
        (self.folder / "agent.toml").write_text(config)

    def command(self, *arguments):
        """What to start."""
        return [str(BINARY), "--config", str(self.folder / "agent.toml"), *map(str, arguments)]

    def __call__(self, *arguments, exits=0, before=()):
        """Runs a command to its end, under the program `before`, and holds it to an exit code unless it is None."""
        done = subprocess.run(
            [*before, *self.command(*arguments)],
            env=ENVIRONMENT, cwd="/", capture_output=True, text=True, timeout=600, check=False,
        )
        assert "panicked" not in done.stderr, done.stderr
        assert exits in (None, done.returncode), (
            f"{' '.join(map(str, arguments))}: exit code {done.returncode}, expected {exits}\n"
            f"{done.stdout}{done.stderr}"
        )
        return done

    def start(self, *arguments, before=(), environment=None):
        """Starts a command, under the program `before`, and leaves it running."""
        process = subprocess.Popen(
            [*before, *self.command(*arguments)],
            env=ENVIRONMENT | (environment or {}), cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        atexit.register(end, process)
        return process

    @property
    def audit(self):
        """The folder of all batches."""
        return self.folder / "mutation-data/audit"

    def batches(self):
        """Sealed logs, oldest first."""
        logs = {path.name.split(".")[0]: path for path in self.audit.glob("*.jsonl*") if is_log(path)}
        return [logs[batch] for batch in sorted(logs)]

    def manifest(self, log):
        """What was sealed with a log."""
        return json.loads((self.audit / f"{log.name.split('.')[0]}.manifest.json").read_text())

    def records(self):
        """All records of all sealed batches, oldest first."""
        return [record for log in self.batches() for record in read_log(log)]


def is_log(path):
    """Whether this is a sealed log; `latest.jsonl` is a link to one."""
    return not path.is_symlink() and path.name.endswith((".jsonl", ".jsonl.zst"))


def read_log(path):
    """A sealed log's records, by Python's own reader."""
    text = path.read_bytes()
    if path.suffix == ".zst":
        text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
    assert not text or text.endswith(b"\n"), f"{path} ends in half a line"
    return [json.loads(line) for line in text.splitlines()]


def seconds(record):
    """A record's duration. Milliseconds in the log are whole nanoseconds."""
    return round(record["duration_ms"] * 1e6) / 1e9


def config(gateway_url="", rounds=5, mutations=40, more="", instance="e2e"):
    """A small agent.toml over the example strategies; `more` is appended, in the table [push]."""
    gateway = f"""
        [[gateway]]
        url = "{gateway_url}"
        grouping = {{ instance = "{instance}" }}
    """
    return f"""
        [batch]
        rounds = {rounds}
        mutations_per_round = {mutations}
        [strategies]
        include = ["examples/strategies/*.py"]
        {gateway if gateway_url else ""}
        [push]
        {more}
    """


def crontabs():
    """The crontabs of the README: the variables and the one command of each, as cron reads them."""
    readme = (ROOT / "README.md").read_text()
    for block in re.findall(r"```cron\n(.*?)```", readme, re.DOTALL):
        *settings, job = block.splitlines()
        command = job.split(maxsplit=5)[5]
        # Cron makes a newline of it, and the standard input of what follows.
        assert "%" not in command.replace("\\%", ""), f"cron would cut this off: {command}"
        yield dict(setting.split("=", 1) for setting in settings), command.replace("\\%", "%")


def end(process):
    """Kills a process of ours, if it still runs, and waits for it."""
    if process.poll() is None:
        process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def shim():
    """The library that strikes at a call of the agent, built: tests/faults/shim.c."""
    library = temporary_folder() / "shim.so"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-format-truncation",
         "-o", library, ROOT / "tests/faults/shim.c"],
        check=True,
    )
    return library


class Held:
    """The environment in which one call of the agent is held."""

    def __init__(self):
        self.library, self.folder, self.count = shim(), temporary_folder(), 0

    def at(self, call, when=1, path="", seconds=20):
        """The variables; a mark that appears when the call is held, and one that lets it go."""
        self.count += 1
        mark, until = (self.folder / f"{name}-{self.count}" for name in ("held", "until"))
        return {
            "LD_PRELOAD": str(self.library), "FAULT": "hold", "FAULT_CLASS": "open" if call == "openat" else "disk",
            "FAULT_CALL": call, "FAULT_PATH": path, "FAULT_AT": str(when), "FAULT_SECONDS": str(seconds),
            "FAULT_MARK": str(mark), "FAULT_UNTIL": str(until),
        }, mark, until


class Clock:
    """The agent's clock, which libfaketime lets us set while it runs; the monotonic one stays real."""

    def __init__(self):
        [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
        self.file, self.offset = temporary_folder() / "clock", 0
        self.environment = {
            "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1", "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, to):
        """Sets it to a number of seconds since 1970, from which it goes on."""
        new = self.file.with_name("new")
        self.offset = round(to - time.time(), 3)
        new.write_text(f"{self.offset:+.3f}\n")
        new.rename(self.file)

    def now(self):
        """What it shows."""
        return time.time() + self.offset


class Pushgateway:
    """A real one on a loopback port, with a persistence file of its own."""

    def __init__(self, *arguments, port=None, folder=None):
        self.folder = folder or temporary_folder()
        self.log = self.folder / "gateway.log"
        for _ in range(10):
            self.port = port or free_port()
            if self._start(arguments):
                return
        raise AssertionError(f"the Pushgateway did not start:\n{self.log.read_text()}")

    def _start(self, arguments):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus-pushgateway", f"--web.listen-address=127.0.0.1:{self.port}",
                 f"--persistence.file={self.folder / 'gateway.db'}", *arguments],
                stdout=log, stderr=log, env=ENVIRONMENT,
            )
        atexit.register(end, self.process)
        # It says so once the port is open, and ends where another program was faster.
        wait_for("the Pushgateway", lambda: "TLS is " in self.log.read_text() or self.process.poll() is not None)
        return self.process.poll() is None

    @property
    def url(self):
        """The base URL of plain HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def kill(self):
        """As kill -9 does: what was not persisted is gone."""
        end(self.process)

    def exposition(self, url=None, **request):
        """What it shows at /metrics."""
        return Exposition(get(f"{url or self.url}/metrics", **request))


def get(url, headers=None, context=None):
    """The body that a URL answers with."""
    request = urllib.request.Request(url, headers=headers or {})
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with opener.open(request, timeout=10) as response:
        return response.read().decode()


SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Exposition:
    """A text exposition, read without any library."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = SAMPLE.fullmatch(line).groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def all(self, name, **labels):
        """Samples of this name with at least these labels."""
        return [
            (found, value) for sample, found, value in self.samples
            if sample == name and labels.items() <= found.items()
        ]

    def value(self, name, **labels):
        """The value of the only such sample."""
        found = self.all(name, **labels)
        assert len(found) == 1, f"{name} {labels}: {len(found)} samples"
        return found[0][1]

    def ours(self):
        """The text of our families alone, as promtool reads it."""
        lines = (
            line for line in self.text.splitlines()
            if re.match(r"(# (HELP|TYPE) )?(exit_mutation|mutation_)", line)
        )
        return "".join(f"{line}\n" for line in lines)


def holds_to(exposition, records, **labels):
    """The counters and the histogram are what independent counting of the records gives."""
    successes = sum(record["success"] for record in records)
    equal("exit_mutations_total", exposition.value("exit_mutations_total", **labels), len(records))
    equal("exit_mutations_success", exposition.value("exit_mutations_success", **labels), successes)
    equal("records", exposition.value("mutation_audit_records_total", **labels), len(records))
    outcomes = sum(value for _, value in exposition.all("exit_mutation_outcomes_total", **labels))
    equal("sum of exit_mutation_outcomes_total", outcomes, len(records))
    # Of another program's log the audit may not know them all.
    times = [seconds(record) for record in records if record["duration_ms"] is not None]
    name = "exit_mutation_duration_seconds"
    equal(f"{name}_count", exposition.value(f"{name}_count", **labels), len(times))
    close(f"{name}_sum", exposition.value(f"{name}_sum", **labels), sum(times), 1e-9)
    buckets = [(float(found["le"]), value) for found, value in exposition.all(f"{name}_bucket", **labels)]
    bounds = [bound for bound, _ in buckets]
    equal("bounds ascend", bounds, sorted(bounds))
    equal("the last bound", bounds[-1], float("inf"))
    for bound, value in buckets:
        equal(f"{name}_bucket le={bound}", value, sum(one <= bound for one in times))
