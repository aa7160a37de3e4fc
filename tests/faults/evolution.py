#!/usr/bin/env python3
"""A small night with an evaluator that is killed, loses its power, or meets a full or broken disk, at each of its calls.

What is on disk then is what the next night counts, what the search knows is what the audit alone says, nothing on record
is evaluated again, and no process of the evaluator is left.
"""

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor

from faults import calls, equal, under, whole
from lib import temporary_folder, wait_for
from nights import EVALUATED, Nights

# The shim is for the agent; an evaluator that it struck would be another story.
JUDGE = ["env", "-u", "LD_PRELOAD", "sh", "judge.sh", "{candidate}"]
# One worker, so that the calls are the same each time.
SETTINGS = {
    "more": 'echo "-$stop"; echo "end $BATCH_ID $MUTATION_ID $STRATEGY $stop $take $SEED" >>calls.log; exit',
    "evaluator": "workers = 1", "batch": "rounds = 2\nmutations_per_round = 1\nseed = 7", "audit": "compress = false",
}
KEPT = ("mutation-data", "agent.prom", "calls.log")


class House(Nights):
    """An agent that goes back to where it was after one calm night."""

    def __init__(self):
        super().__init__(JUDGE, **SETTINGS)
        self("run")
        self.log, self.calm = self.folder / "shim.log", temporary_folder()
        self.copy(self.folder, self.calm)

    @staticmethod
    def copy(source, target):
        """What a night leaves, in the place of what is there."""
        shutil.rmtree(target / "mutation-data", ignore_errors=True)
        for name in KEPT:
            if (source / name).is_dir():
                shutil.copytree(source / name, target / name, symlinks=True)
            else:
                shutil.copy2(source / name, target / name)

    def night(self, fault=None, at=0):
        """A night from the calm one on in which a call may be struck; how it ended, and the calls that were."""
        self.copy(self.calm, self.folder)
        self.log.unlink(missing_ok=True)
        done = self("run", exits=None, before=under(self.log, fault, "disk", at))
        return done, [call for call in calls(self.log) if call.struck]

    def on_disk(self):
        """By key: the whole records of all logs, open ones too."""
        paths = [path for path in self.audit.glob("*.jsonl*") if not path.is_symlink() and ".broken" not in path.name]
        found = {}
        for path in paths:
            text = path.read_bytes()
            for record in whole(text[:text.rfind(b"\n") + 1].splitlines()):
                found[record["batch_id"], record["mutation_id"]] = record
        return found

    def goes_on(self):
        """A night without faults after one that had one: counted as it was left, and gone on from there."""
        left = self.on_disk()
        given = {(call.batch, call.mutation): call.values for call in self.calls()}
        known = {given[key] for key, record in left.items() if record["outcome"] in EVALUATED}
        finished = {(call.batch, call.mutation) for call in self.calls("end")}
        began = len(self.calls())
        self("run")
        now = self.on_disk()
        assert left.items() <= now.items(), f"lost: {left.keys() - now.keys()}"
        newest = max(batch for batch, _ in now)
        equal("records of nights before", {key for key in now if key[0] < newest}, set(left))
        again = {call.values for call in self.calls()[began:]}
        equal("evaluated again", again & known, set())
        self.holds()
        return len(finished - left.keys())


def sweep(houses, points, case):
    """Runs `case(house, point)` for all, each with a house of its own."""
    free, lock = list(houses), threading.Lock()

    def one(point):
        with lock:
            house = free.pop()
        try:
            return case(house, point)
        except AssertionError as error:
            raise AssertionError(f"{' '.join(map(str, point))}: {error}") from error
        finally:
            with lock:
                free.append(house)

    with ThreadPoolExecutor(len(houses)) as pool:
        return list(pool.map(one, points))


def killed(house, point):
    """SIGKILL or a power cut at a call; how many evaluations had ended and are not on record."""
    fault, call = point
    done, struck = house.night(fault, call.number)
    # A call that can be done by halves is counted by itself for `tear`.
    assert struck, "the night was shorter than the one before"
    equal("exit code", done.returncode, -9)
    wait_for("the end of all evaluators", lambda: not house.alive())
    lost = house.goes_on()
    # A power cut takes what was not synced as well.
    assert lost <= (1 if fault in ("kill", "tear") else 2), f"{lost} evaluations are lost"
    return lost


def code(call):
    """The table, from the first candidate on."""
    if call.name in ("unlink", "rmdir") and "/evaluating" in call.path or call.name == "unlinkat":
        return 0  # What stays behind goes with the next night.
    return 0 if "agent.prom" in call.path or "latest" in call.path else 74


def errs(house, point):
    """An error at a call, or from it on."""
    name, lasts, call = point
    done, struck = house.night(getattr(errno, name), f"{call.number}{'+' if lasts else ''}")
    assert struck, "the night was shorter than the one before"
    equal("processes of the evaluator", house.alive(), [])
    expected = max(map(code, struck))
    # A folder is synced for what was done in it just before, and that may have been a link for others.
    exits = {0, expected} if call.name == "fsync" and os.path.isdir(call.path) and not lasts else {expected}
    assert done.returncode in exits, f"exit code {done.returncode}, expected {exits}\n{done.stderr}"
    if expected:
        assert os.strerror(getattr(errno, name)) in done.stderr, done.stderr
    house.goes_on()


houses = [House() for _ in range(max(2, os.cpu_count() or 2))]
done, _ = houses[0].night()
equal("exit code", done.returncode, 0)
night = calls(houses[0].log)
equal("threads and processes that write", len({call.thread for call in night}), 1)
halves = [call for call in night if call.name == "write"]
# What comes before is as in a night without an evaluator: faults/errors.
first = next(call.number for call in night if "/evaluating" in call.path)
last = next(call.number for call in night if "latest" in call.path)
middle = [call for call in night if first <= call.number < last]

for at, call in enumerate(halves, 1):
    call.number, call.whole = at, call.number
torn = sweep(houses, [("tear", call) for call in halves], killed)
for call in halves:
    call.number = call.whole
kills = sweep(houses, [("kill", call) for call in night], killed)
print(f"SIGKILL at each of {len(night)} calls, and in {len(torn)} writes: {sum(kills)} and {sum(torn)} evaluations lost")
cuts = sweep(houses, [("names", call) for call in middle], killed)
print(f"a power cut at each of {len(middle)} calls of the evaluation: {sum(cuts)} evaluations lost")
errors = [("ENOSPC", True, call) for call in middle] + [("EIO", False, call) for call in middle]
sweep(houses, errors, errs)
print(f"{len(errors)} errors of the disk")

points = len(night) + len(halves) + len(middle) + len(errors)
print(f"{points} faults in an evaluated night: what is on disk counts, and is gone on from; nothing on record is judged again")
