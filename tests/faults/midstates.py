#!/usr/bin/env python3
"""A journal so long that its digest is noted on the way: SIGKILL, a power cut, an error at every call on the notes.

They are never synced, so that a power cut takes them; that it takes the journal and leaves them is made by hand.

Whatever happens, the next start seals what stands there, with its digest. Where that is no longer what was written, the
sealed log does not fit its digest, and `audit verify` says so.
"""

import hashlib
import json
import os
import shutil
from itertools import count

from faults import Pushgateway, calls, equal, temporary_folder, under
from lib import ROOT, Agent, config

# Of a strategy so deep in folders that its records are long: one note, after 64 MiB, and a tail of some megabytes.
DEEP = "/".join(["examples/strategies", *("x" * 240 for _ in range(10))])
ROUNDS, MUTATIONS = 8, 3500
FAULTS = ("kill", "after", "tear", "data", "names", "28", "5")

MORE = """
    interval = "10m"
    [output]
    keep = 0
    [audit]
    buffer = 1000
    compress = false
"""

gateway = Pushgateway()
agent = Agent(config(gateway.url, ROUNDS, MUTATIONS, MORE).replace("examples/strategies", DEEP), None)
(agent.folder / DEEP).mkdir(parents=True)
shutil.copy(ROOT / "examples/strategies/momentum.py", agent.folder / DEEP)
data, notes = agent.folder / "mutation-data", agent.folder / "mutation-data/midstates.txt"
log = agent.folder / "calls.log"


def reset(left=None):
    """No data folder, or that of another time."""
    shutil.rmtree(data, ignore_errors=True)
    log.unlink(missing_ok=True)
    if left:
        shutil.copytree(left, data, symlinks=True)


def run(*command, fault, path, call=None, at=1):
    """Runs a command that meets a fault at a call on such a path; whether it did, and how it ended."""
    only = [f"FAULT_PATH={path}"] + ([f"FAULT_CALL={call}"] if call else [])
    done = agent(*command, exits=None, before=[*under(log, fault, at=at), *only])
    return any(call.struck for call in calls(log)), done.returncode


def judge(status, records):
    """There is one batch of so many records, whose manifest says what its log is; the state has each once, as after another start."""
    [batch] = agent.batches()
    manifest, text = agent.manifest(batch), batch.read_bytes()
    equal("status", manifest["status"], status)
    equal("records", manifest["records"], records)
    equal("lines", text.count(b"\n"), records)
    equal("bytes", len(text), manifest["bytes"])
    equal("digest", hashlib.sha256(text).hexdigest(), manifest["sha256"])
    before = (data / "state.json").read_bytes()
    equal("attempts of the state", json.loads(before)["totals"]["tally"]["attempts"], records)
    agent("push")
    equal("the state after another start", (data / "state.json").read_bytes(), before)


def lines_left():
    """The whole lines of the log, sealed or not."""
    [log] = [path for path in agent.audit.glob("*.jsonl*") if not path.is_symlink()]
    return log.read_bytes().count(b"\n")


def killed(at):
    """A data folder whose batch was killed at this sync of its journal, and how many lines it has."""
    reset()
    struck, code = run("run", fault="kill", path=".partial", call="fdatasync", at=at)
    equal("the batch was killed", (struck, code), (True, -9))
    left = temporary_folder() / "left"
    shutil.copytree(data, left, symlinks=True)
    [journal] = left.glob("audit/*.partial")
    return left, journal.read_bytes().count(b"\n")


reset()
agent("run")
judge("completed", ROUNDS * MUTATIONS)
agent("audit", "verify")

points = 0
for fault in FAULTS:
    for at in count(1):
        reset()
        struck, code = run("run", fault=fault, path="midstates", at=at)
        if not struck:
            break
        equal(f"{fault} at {at}: exit code", code, 0 if fault.isdigit() else -9)
        lines = lines_left()
        agent("push")
        judge("completed" if fault.isdigit() else "crashed", lines)
        points += 1
    # The file is made, and a line is written; only that can be done by halves.
    assert at > (1 if fault == "tear" else 2), f"`{fault}`: {at - 1} calls on the notes"
print(f"{points} faults at calls on the notes: what is sealed has its digest")

syncs = sum(call.name == "fdatasync" and ".partial" in call.path for call in calls(log))
left, lines = killed(syncs)
assert (left / notes.name).stat().st_size > 0, "nothing was noted"
for at in count(1):
    reset(left)
    struck, code = run("push", fault="kill", path="/mutation-data/", at=at)
    if not struck:
        break
    equal(f"kill at {at} of the recovery: exit code", code, -9)
    agent("push")
    judge("crashed", lines)
print(f"{at - 1} crashes in the recovery: the same")

# The digest that was noted is what counts: a beginning that was changed since is found, and a broken one is cut off.
reset(left)
[journal] = agent.audit.glob("*.partial")
written = hashlib.sha256(journal.read_bytes()).hexdigest()
changed = journal.read_bytes().replace(b'"duration_ms":0', b'"duration_ms":7', 1)
journal.write_bytes(changed)
agent("push")
[batch] = agent.batches()
manifest = agent.manifest(batch)
equal("records", manifest["records"], lines)
equal("the digest is that of what was written", manifest["sha256"], written)
found = agent("audit", "verify", exits=65).stdout
assert batch.name in found, found
reset(left)
[journal] = agent.audit.glob("*.partial")
with journal.open("r+b") as file:
    file.seek(sum(len(file.readline()) for _ in range(1000)))
    file.write(b"\0")
agent("push")
judge("crashed", 1000)
# A changed beginning is found after a recovery that could not seal, as well.
reset(left)
[journal] = agent.audit.glob("*.partial")
journal.write_bytes(changed)
struck, code = run("push", fault="28", path=".manifest.json", call="openat")
equal("the recovery found no room", (struck, code), (True, 73))
agent("push")
equal("the digest is that of what was written", agent.manifest(agent.batches()[0])["sha256"], written)

# Notes that say more than the journal has, and whatever else is under their name.
for what in ("more", "text", "folder", "link", "fifo"):
    reset(left)
    [journal] = agent.audit.glob("*.partial")
    if what == "more":
        os.truncate(journal, 60 << 20)
    elif what == "text":
        notes.write_text("\0" * 300)
    else:
        notes.unlink()
        {"folder": notes.mkdir, "link": lambda: notes.symlink_to(journal), "fifo": lambda: os.mkfifo(notes)}[what]()
    whole = lines_left()
    agent("push")
    judge("crashed", whole)
    if what not in ("more", "text"):
        agent("run")
        equal("batches", [agent.manifest(log)["status"] for log in agent.batches()], ["crashed", "completed"])
agent("audit", "verify")
print("a beginning that was changed does not fit its digest, and a broken one is cut off")
