"""What the fault checks share: a shim that lets one call fail, a night that is always the same, and one judge.

The judge knows nothing of how the agent works. It reads the audit, the state and the real Pushgateway, and demands that
they say the same, that nothing is missing that was on the disk, and that nothing is there twice.
"""

import ast
import atexit
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from lib import (  # noqa: E402
    ENVIRONMENT, ROOT, Agent, Exposition, Pushgateway, config, equal, get, holds_to, read_log, shim, temporary_folder,
)

BATCH = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
STATUSES = ("completed", "failed", "interrupted", "crashed")
# Four nights; the fourth packs the third's log and prunes the first.
SETTINGS = """
    retry = { initial = "10ms", max = "100ms", multiplier = 2.0 }
    deadline = "5s"
    [output]
    keep = 1
    [metrics]
    textfile = "agent.prom"
"""


SHIM = shim()


def whole(lines):
    """The records up to the first line that is none, such as a power cut or a lying disk may leave."""
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


class Call:
    """A line of the shim's log."""

    def __init__(self, line):
        self.kind, number, thread, self.name, self.path, *self.struck = line.split(" ")
        self.number, self.thread = int(number), int(thread)

    def __str__(self):
        return f"{self.name} {self.path}"


def under(log, fault=None, kind="disk", at=0, slow=0):
    """The program to run the agent under."""
    variables = [f"LD_PRELOAD={SHIM}", f"FAULT_LOG={log}", f"FAULT_SLOW={slow}"]
    if fault:
        variables += [f"FAULT={fault}", f"FAULT_CLASS={kind}", f"FAULT_AT={at}"]
    return ["env", *variables]


def calls(log, kind="disk"):
    """The calls that the shim has counted."""
    lines = log.read_text().splitlines() if log.exists() else []
    return [call for call in map(Call, lines) if call.kind == kind]


class Left:
    """How a house was at some moment: folders, gateway, and what is known to be on record."""

    def __init__(self, house):
        self.on_record, self.shape = house.on_record(), house.shape()
        self.known, self.group, self.attempts = dict(house.known), house.group(), house.attempts()
        self.folder = temporary_folder()
        house.copy(house.agent.folder, self.folder)
        self.struck = house.struck()

    def __str__(self):
        return f"left at {' '.join(f'{call.name} {call.path}' for call in self.struck)}"


class House:
    """An agent with a group of its own on the gateway, which goes back to where it was before each case."""

    def __init__(self, gateway, instance, nights=3, rounds=2, interval="15s", slow=0):
        self.gateway, self.instance, self.slow = gateway, instance, slow
        more = f'interval = "{interval}"\n{SETTINGS}\n[audit]\nbuffer = 10\nretention = {{ batches = 3 }}'
        self.agent = Agent(config(gateway.url, rounds, 20, more, instance))
        self.log = self.agent.folder / "calls.log"
        self.known = {}
        for _ in range(nights):
            self.agent("run")
            self.see()
        self.calm = Left(self)

    @staticmethod
    def copy(source, target):
        """Data and candidates, and nothing else, in the place of what is there."""
        for name in ("mutation-data", "evolved", "agent.prom"):
            for_sure = target / name
            shutil.rmtree(for_sure, ignore_errors=True)
            for_sure.unlink(missing_ok=True)
            if (source / name).is_dir():
                shutil.copytree(source / name, for_sure, symlinks=True)
            elif (source / name).exists():
                shutil.copy2(source / name, for_sure)

    def reset(self, left=None):
        """As it was after the calm nights, on the gateway too; or as another house was left."""
        left = left or self.calm
        self.copy(left.folder, self.agent.folder)
        self.log.unlink(missing_ok=True)
        self.known = dict(left.known)
        self.put_back(left.group)

    def group(self):
        """What the gateway shows of us, with the types; labels of the group are overwritten by those of another one."""
        lines = self.gateway.exposition().ours().splitlines()
        ours = [line for line in lines if line.startswith("#") or f'instance="{self.instance}"' in line]
        return "".join(f"{line}\n" for line in ours)

    def put_back(self, group):
        """The gateway shows this of us."""
        url = f"{self.gateway.url}/metrics/job/exit_evolution/instance/{self.instance}"
        with urllib.request.urlopen(urllib.request.Request(url, group.encode(), method="PUT"), timeout=10):
            pass

    def struck(self):
        """The call at which the fault was, if it came to that."""
        return [call for kind in ("disk", "net", "open") for call in calls(self.log, kind) if call.struck]

    def attempts(self):
        """What the gateway shows of them; 0 before the first push."""
        found = self.shown().all("exit_mutations_total")
        return found[0][1] if found else 0

    def shown(self):
        """What the gateway shows of us."""
        text = get(f"{self.gateway.url}/metrics")
        ours = [line for line in text.splitlines() if f'instance="{self.instance}"' in line]
        return Exposition("\n".join(ours))

    def lines(self):
        """Every record in the audit folder, in its place."""
        found = []
        for path in sorted(self.agent.audit.glob("*.jsonl*")):
            if path.is_symlink() or path.name.endswith(".broken") or path.name.startswith("."):
                continue
            if path.name.endswith(".zst"):
                if path.with_suffix("").exists():  # Killed while it was packed; the plain one counts.
                    continue
                text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout
            else:
                text = path.read_bytes()
            found += whole(text[:text.rfind(b"\n") + 1].splitlines())
        return found

    def see(self):
        """Learns the records that are there: those that are pruned later have been counted."""
        seen = {}
        for record in self.lines():
            key = record["batch_id"], record["mutation_id"]
            assert key not in seen, f"{key} is there twice"
            seen[key] = record
            self.known[key] = record
        return seen

    def manifests(self):
        """By batch."""
        found = {}
        for path in sorted(self.agent.audit.glob("*.manifest.json")):
            found[path.name.split(".")[0]] = json.loads(path.read_bytes())
        return found

    def state(self):
        """state.json."""
        return json.loads((self.agent.folder / "mutation-data/state.json").read_bytes())

    def digest(self):
        """Of all names and bytes of the data folder."""
        found = hashlib.sha256()
        for path in sorted((self.agent.folder / "mutation-data").rglob("*")):
            found.update(str(path.relative_to(self.agent.folder)).encode())
            if path.is_symlink():
                found.update(os.readlink(path).encode())
            elif path.is_file():
                found.update(path.read_bytes())
        return found.hexdigest()

    def __call__(self, *command, fault=None, kind="disk", at=0, exits=None):
        """Runs a command that may meet a fault."""
        return self.agent(*command, exits=exits, before=under(self.log, fault, kind, at, self.slow))

    def shape(self):
        """What the data folder looks like to a recovery, with neither times nor ids: two of one shape are alike."""
        data = self.agent.folder / "mutation-data"
        ids = sorted({found[0] for path in data.rglob("*") if (found := BATCH.search(path.name))})
        ranks = {batch: rank for rank, batch in enumerate(ids)}

        def rank(batch):
            return ranks.get(batch, batch and "?")

        def summary(path):
            if path.is_symlink():
                return rank(BATCH.search(os.readlink(path))[0])
            if path.is_dir() or ".kept-" in path.name:
                return None
            content = path.read_bytes()
            if "jsonl" in path.name:
                return content.count(b"\n"), content[-1:] == b"\n"
            try:
                content = json.loads(content)
            except ValueError:
                return len(content) > 0
            last = content.get("last_batch") or {}
            marks = [rank(mark["delivered"]) for mark in content.get("gateways", {}).values()]
            return content.get("status"), content.get("records"), rank(last.get("batch_id")), marks

        return tuple(sorted(
            (BATCH.sub(lambda found: str(ranks[found[0]]), str(path.relative_to(data))), repr(summary(path)))
            for path in data.rglob("*")
        ))

    def on_record(self):
        """The whole lines on disk: what must still be there after whatever comes."""
        return set(self.see())

    def judge(self, before):
        """After a start without faults: everything says the same, once, and nothing is missing."""
        seen = self.see()
        assert before <= set(self.known), f"lost: {sorted(before - set(self.known))}"
        pruned = {key for key in self.known if key not in seen}
        assert all(self.was_pruned(batch) for batch, _ in pruned), f"gone: {sorted(pruned)[:3]}"
        manifests = self.manifests()
        logs = self.agent.batches()
        names = [log.name.split(".")[0] for log in logs]
        # A prune that was killed may leave a manifest behind until the next night.
        kept = [batch for batch in manifests if batch in names or not self.was_pruned(batch)]
        equal("a manifest for each log", kept, names)
        for log in logs:
            manifest, records = self.agent.manifest(log), read_log(log)
            equal(f"records of {log.name}", manifest["records"], len(records))
            equal(f"tally of {log.name}", manifest["tally"]["attempts"], len(records))
            ids = [f"exit_mut_{number:06}" for number in range(1, len(records) + 1)]
            equal(f"ids of {log.name}", [record["mutation_id"] for record in records], ids)
        state = self.state()
        equal("attempts in the state", state["totals"]["tally"]["attempts"], len(self.known))
        newest = manifests[max(manifests)]
        summed = newest["totals_before"]["tally"]["attempts"] + newest["records"]
        equal("attempts by the newest manifest", summed, len(self.known))
        equal("the last batch", state["last_batch"]["batch_id"], max(manifests))
        shown = self.shown()
        holds_to(shown, list(self.known.values()))
        statuses = [self.agent.manifest(log)["status"] for log in logs] + self.pruned_statuses(names)
        for status in STATUSES:
            equal(f"{status} batches", shown.value("mutation_batches_total", status=status), statuses.count(status))
        equal("in progress", shown.value("mutation_batch_in_progress"), 0)
        equal("open journals", list(self.agent.audit.glob("*.partial")), [])
        self.judge_candidates()

    def was_pruned(self, batch):
        """Whether retention may have taken it: it was sealed before the fault, and enough newer ones are there."""
        newer = [log for log in self.agent.batches() if log.name.split(".")[0] > batch]
        return len(newer) >= 3

    def pruned_statuses(self, there):
        """Batches of the calm nights all were completed."""
        return ["completed"] * len({batch for batch, _ in self.known} - set(there))

    def synced_once(self):
        """What failed to become lasting is never synced again as if nothing had happened."""
        failed = set()
        for call in calls(self.log):
            if call.name == "openat":
                failed.discard(call.path)
            if call.name in ("fsync", "fdatasync") and os.path.splitext(call.path)[1]:
                assert call.path not in failed, f"{call.path} is synced again after a sync that failed"
                if call.struck:
                    failed.add(call.path)

    def judge_candidates(self):
        """What is in the output folder is whole: Python reads it, and it differs from its source in one line."""
        for path in (self.agent.folder / "evolved").glob("[!.]*/**/*.py"):
            text = path.read_text()
            ast.parse(text)
            source = (ROOT / "examples/strategies" / f"{path.parent.name}.py").read_text()
            pairs = list(zip(source.splitlines(), text.splitlines(), strict=True))
            equal(f"changed lines of {path}", sum(old != new for old, new in pairs), 1)
            assert text.endswith("\n"), f"{path} is cut"

    def judge_night(self):
        """After a whole night nothing is left of what was begun and not ended, and the agent's own judge agrees."""
        left = [path for path in self.agent.folder.rglob(".*") if ".tmp" in path.name]
        equal("temporary files", left, [])
        equal("manifests", len(self.manifests()), len(self.agent.batches()))
        self.agent("audit", "verify", "--gateway")


class Sweep:
    """Cases over several houses at the same time, each with a house of its own."""

    def __init__(self, gateway, name, house=House, **night):
        self.name, self.hands, self.lock = name, max(2, os.cpu_count() or 2), threading.Lock()
        self.free = [house(gateway, f"{name} {number}".replace(" ", "-"), **night) for number in range(self.hands)]

    def __call__(self, case, points):
        """Runs `case(house, point)` for all points; the results in their order."""
        def one(point):
            with self.lock:
                house = self.free.pop()
            try:
                return case(house, point)
            except AssertionError as error:
                log = "".join(f"  {call.kind} {call.number} {call.name} {call.path}\n" for call in house.struck())
                raise AssertionError(f"{point}: {error}\n{log}") from error
            finally:
                with self.lock:
                    self.free.append(house)

        with ThreadPoolExecutor(self.hands) as pool:
            return list(pool.map(one, points))

    def until_none(self, case):
        """Runs `case(house, 1)`, `case(house, 2)` … until one gives None: there is no such call. What they gave."""
        results, step = [], 8 * self.hands
        for first in count(1, step):
            found = self(case, range(first, first + step))
            results += found[:found.index(None)] if None in found else found
            if None in found:
                return results
            assert first < 5000, "no end of calls"

    def trace(self, *command, kind="disk"):
        """The calls of a command in which nothing goes wrong."""
        house = self.free[0]
        house.reset()
        house(*command, exits=0)
        return calls(house.log, kind)
