"""What the sections share: the agent, starting a program and seeing what it took, the limit of the disk, a table."""

import atexit
import contextlib
import hashlib
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

BENCHES = Path(__file__).resolve().parent
ROOT = BENCHES.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = Path(os.environ.get("MUTATION_AGENT", TARGET / "release/mutation-agent")).absolute()
# Nothing of the caller's environment but where programs and temporary files are.
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}

# They end us as an exception does: what was started is killed, folders are removed.
for end in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    signal.signal(end, lambda number, _: sys.exit(128 + number))


def temporary_folder():
    """A folder that goes when we end; on the disk of target/, unless TMPDIR says where."""
    parent = os.environ.get("TMPDIR") or TARGET / "benches"
    Path(parent).mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="benches-", dir=parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def built(name):
    """A program in C of this folder."""
    program = temporary_folder() / name
    subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, BENCHES / f"{name}.c"], check=True)
    return program


SPAWN = built("spawn")


@dataclass
class Took:
    """What a program took: seconds, and the peak of its resident memory in bytes."""

    wall: float
    user: float
    system: float
    peak: int


def starts(count, command, exits=0, **more):
    """Starts a program so many times; what each start took."""
    with tempfile.NamedTemporaryFile(dir=SPAWN.parent, suffix=".took") as report:
        more = {"env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True} | more
        done = subprocess.run([SPAWN, report.name, str(count), *map(str, command)], check=True, **more)
        lines = [list(map(int, line.split())) for line in Path(report.name).read_text().splitlines()]
    for *_, status in lines:
        code = os.waitstatus_to_exitcode(status)
        assert exits in (None, code), f"{command}: exit code {code}, expected {exits}\n{done.stderr[-2000:]}"
    return [Took(wall / 1e9, user / 1e9, system / 1e9, peak * 1024) for wall, user, system, peak, _ in lines]


def took(command, **more):
    """The same of one start."""
    return starts(1, command, **more)[0]


@contextlib.contextmanager
def on_one_core():
    """Whatever is started in it, and we ourselves, have one core."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class Agent:
    """The program with a folder and a configuration of its own."""

    def __init__(self, config, folder=None):
        self.folder = folder or temporary_folder() / "agent"
        self.folder.mkdir(exist_ok=True)
        (self.folder / "agent.toml").write_text(config)

    def command(self, *arguments):
        """What to start."""
        return [str(BINARY), "--config", str(self.folder / "agent.toml"), *map(str, arguments)]

    def __call__(self, *arguments, exits=0):
        """Runs a command to its end; what it said."""
        done = subprocess.run(
            self.command(*arguments), env=ENVIRONMENT, cwd="/", capture_output=True, text=True, check=False
        )
        assert done.returncode == exits, f"{arguments}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def data(self):
        """The data folder of `config`."""
        return self.folder / "data"

    def logs(self):
        """Sealed logs that are not packed, oldest first."""
        return sorted(path for path in (self.data / "audit").glob("*-*.jsonl") if not path.is_symlink())

    def manifest(self):
        """The newest batch's."""
        return json.loads(max((self.data / "audit").glob("*.manifest.json")).read_text())

    def forget(self):
        """Removes all data and candidates, so that the next run finds what the first one found."""
        for folder in ("data", "evolved"):
            shutil.rmtree(self.folder / folder, ignore_errors=True)


def config(include="strategies/*.py", workers=1, more=""):
    """An agent.toml that pushes nothing and packs nothing; the records are written a thousand at a time."""
    return f"""
        data_dir = "data"
        [batch]
        workers = {workers}
        [strategies]
        include = ["{include}"]
        [metrics]
        textfile = "metrics.prom"
        [audit]
        buffer = 1000
        compress = false
        {more}
    """


def limit(source, count, syncs, folder):
    """Seconds to write so many bytes to a new file and sync it so often: what recording is held to.

    The disk is at work beside the writing, by syncs of a thread, as soon as there are 16 MiB for it.

    The bytes are the first quarter of a MiB of `source` over and over, which stays in the processor's cache: of 64 KiB,
    256 KiB and 1 MiB the fastest.
    """
    with source.open("rb") as file:
        block = memoryview(file.read(1 << 18))
    path = folder / "limit"
    began = time.perf_counter()
    file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with ThreadPoolExecutor(1) as beside:
        unsynced, syncing = 0, None
        for at in range(syncs):
            left = count * (at + 1) // syncs - count * at // syncs
            while left > 0:
                written = os.write(file, block[:left])
                left, unsynced = left - written, unsynced + written
                if unsynced >= 16 << 20 and (syncing is None or syncing.done()):
                    syncing, unsynced = beside.submit(os.fdatasync, file), 0
            os.fsync(file)
    os.close(file)
    seconds = time.perf_counter() - began
    path.unlink()
    return seconds


def digest(source):
    """Seconds that OpenSSL takes for the SHA-256 of a file, which the manifest has to have."""
    found, block = hashlib.sha256(), memoryview(bytearray(1 << 18))
    seconds = 0
    with source.open("rb", buffering=0) as file:
        while length := file.readinto(block):
            began = time.perf_counter()
            found.update(block[:length])
            seconds += time.perf_counter() - began
    return seconds


def python(script, *arguments):
    """A Python program's one object of JSON."""
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{script}: exit code {done.returncode}\n{done.stderr}"
    return json.loads(done.stdout)


def median(values):
    """The median."""
    return statistics.median(values)


def equal(what, found, expected):
    """Fails with both values."""
    assert found == expected, f"{what}: found {found!r}, expected {expected!r}"


def close(what, found, expected, tolerance):
    """Fails where the two differ by more than the share `tolerance`."""
    assert abs(found - expected) <= tolerance * abs(expected), (
        f"{what}: found {found!r}, expected {expected!r} within a share of {tolerance:g}"
    )


@dataclass
class Table:
    """One section's result."""

    header: list
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)

    def add(self, *cells):
        """A row."""
        assert len(cells) == len(self.header), cells
        self.rows.append([str(cell) for cell in cells])

    def markdown(self):
        """As text."""
        if not self.rows:
            return "\n\n".join(self.notes)
        rule = ["---"] + ["---:"] * (len(self.header) - 1)
        lines = [f"| {' | '.join(row)} |" for row in [self.header, rule, *self.rows]]
        return "\n".join(lines) + "".join(f"\n\n{note}" for note in self.notes)


def digits(value, unit=""):
    """A number as people read it: three digits that count, thousands with commas."""
    if value == 0:
        text = "0"
    elif abs(value) >= 1000:
        text = f"{round(value, 2 - len(str(int(abs(value)))) + 1):,.0f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".strip()


def span(seconds):
    """A time in the unit that suits it."""
    for unit, size in (("s", 1), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return digits(seconds / size, unit)
    return digits(seconds / 1e-9, "ns")


def times(ratio):
    """A ratio."""
    return f"{digits(ratio)} ×"
