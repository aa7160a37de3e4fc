#!/usr/bin/env python3
"""An error at every call that touches the disk, once and from there on, in a night and in the recovery from a crash: the
exit code that the table gives, words that say where, nothing shown that is not on disk, and a next start that finds
everything."""

import errno
import os

from faults import BATCH, Left, Pushgateway, Sweep, calls, equal

NAMES = ("write", "openat", "mkdir", "rename", "symlink", "fsync", "fdatasync")
# What may come of which calls.
ERRORS = {
    "ENOSPC": NAMES,
    "EDQUOT": NAMES,
    "EIO": (*NAMES, "unlink", "ftruncate"),
    "EROFS": ("openat", "mkdir", "rename", "symlink", "unlink"),
}
# Struck one by one only: what these do from some call on, ENOSPC does too.
BRIEF = ("EDQUOT", "EROFS")
# 73, in a batch that is sealed all the same.
OUTPUT = -73
# All but 70, and what a signal makes of it.
EXITS = {0, 65, 73, 74, 75, 77, 78}
# What the agent's libraries try again, and nobody ever sees.
INTERRUPTIBLE = ("write", "openat", "fsync", "fdatasync", "ftruncate")


def codes(night, folder, recovers=False):
    """By the number of a call in a night, or in a recovery: the exit code that an error there gives."""
    found, manifests, saves, before, delivers = {}, 0, 0, 0, False
    for call in night:
        path = os.path.relpath(call.path, folder)
        manifests += call.name == "unlink" and path.endswith(".manifest.json.tmp")
        saves += manifests == 2 and call.name == "unlink" and path == "mutation-data/.state.json.tmp"
        # A folder is synced for what was done in it just before.
        is_folder = call.name == "fsync" and "." not in os.path.basename(path).removeprefix(".")
        delivers |= path == ".agent.prom.tmp"
        if not is_folder:
            before = code_in_recovery(path, delivers) if recovers else code(path, manifests, saves)
        found[call.number] = before
    return found


def code(path, manifests, saves):
    """The table, by what is struck and how far the batch is."""
    if "agent.prom" in path or "latest" in path or "outline" in path:
        return 0  # The textfile and the links are for others, and a note is but a note; a warning.
    if path.startswith("evolved"):
        return OUTPUT
    if manifests == 0 or (manifests == 1 and not path.endswith(".partial")):
        return 73  # No batch has begun.
    if saves > 2 or (saves == 2 and "audit" in path):
        return 0  # Pruning, which is saved first, and packing, when all is done.
    return 74


def code_in_recovery(path, delivers):
    """The table for `push`: until the recovery is through, there is nothing to deliver."""
    if "agent.prom" in path or "latest" in path or "outline" in path:
        return 0
    return 74 if delivers else 73


def errs(house, fault, at):
    """Lets a night meet an error from a call on; the codes that the table has for the calls that were struck, in their
    order."""
    house.reset()
    done = house("run", fault=fault, at=at)
    struck = house.struck()
    table = codes(calls(house.log), house.agent.folder)
    return done, struck, [table[call.number] for call in struck]


def says_where(house, done, struck, name):
    """The log names the error and a file that was struck, or its folder."""
    words = os.strerror(getattr(errno, name)) if name != "short" else ""
    assert words in done.stderr, f"no word of `{words}` in:\n{done.stderr}"
    # Of a file that could not be renamed, the log has the name that it had.
    places = {(BATCH.findall(call.path) or [os.path.basename(call.path).removeprefix(".")])[-1] for call in struck}
    assert any(place in done.stderr for place in places), f"none of {places} in:\n{done.stderr}"


def judge(house, done, struck, name, codes_of_struck):
    """What an error may do, and what a healthy next start must find; what is on record after both."""
    # The first that is no mere warning ends it all, and what fails after that changes nothing.
    expected = next(filter(None, codes_of_struck), 0)
    # But without its candidates a batch goes on to its seal, and one without a seal as well is left to the next start.
    if expected == OUTPUT:
        expected = 74 if 74 in codes_of_struck else 73
    equal("exit code", done.returncode, 77 if name == "EROFS" and expected == 73 else expected)
    says_where(house, done, struck, name)
    house.synced_once()
    return finds_everything(house)


def finds_everything(house):
    """Nothing is shown that is not on disk, and a healthy next start finds all that is; gives what that is."""
    on_record, shown = house.on_record(), house.attempts()
    assert shown <= len(house.known), f"the gateway shows {shown} attempts, and {len(house.known)} are on disk"
    house.agent("push")
    if house.agent.batches():
        house.judge(on_record)
        assert house.attempts() >= shown, f"the gateway showed {shown} attempts, and now {house.attempts()}"
    return on_record


def goes_on(house, on_record):
    """A healthy night after all that."""
    house.agent("run")
    house.judge(on_record)
    house.judge_night()


def sweep(houses, night, name, names, lasts):
    """The error at every call of these names; how many there were."""
    number = getattr(errno, name)

    def case(house, call):
        done, struck, table = errs(house, number, f"{call.number}+" if lasts else call.number)
        assert struck, "the night was shorter than the one before"
        if not lasts:
            for path in house.agent.audit.glob("*.partial"):
                content = path.read_bytes()
                assert content in (b"",) or content.endswith(b"\n"), f"{path} ends in half a line"
        goes_on(house, judge(house, done, struck, name, table))

    return len(houses(case, [call for call in night if call.name in names]))


def sweep_passing(houses, night):
    """Interrupted calls and short writes: the night goes on as if nothing were."""
    def interrupted(house, call):
        return passes(house, errno.EINTR, call.number)

    def short(house, at):
        return passes(house, "short", at)

    def passes(house, fault, at):
        done, struck, _ = errs(house, fault, at)
        equal("exit code", done.returncode, 0)
        house.judge(set())
        house.judge_night()
        return struck or None

    houses(interrupted, [call for call in night if call.name in INTERRUPTIBLE])
    writes = houses.until_none(short)
    return sum(call.name in INTERRUPTIBLE for call in night) + len(writes)


def sweep_lies(houses):
    """A disk that says that it has written what it has not: seen at the next sync. How many there were."""
    def case(house, at):
        done, struck, table = errs(house, "lie", at)
        if not struck:
            return None
        equal("exit code", [done.returncode], list(map(abs, table)))
        on_record = finds_everything(house)
        house.agent("run")
        house.judge(on_record)
        return struck

    return len(houses.until_none(case))


def sweep_network(houses):
    """A connection that breaks at each request: once, and it is tried again; from there on, and it is a delivery that
    the next start makes up for. How many there were."""
    def case(house, at, lasts):
        house.reset()
        done = house("run", fault=errno.ECONNRESET, kind="net", at=f"{at}+" if lasts else at)
        struck = house.struck()
        equal("exit code", done.returncode, 75 if lasts and struck else 0)
        on_record = house.on_record()
        house.agent("push")
        house.judge(on_record)
        return struck or None

    return sum(
        len(houses.until_none(lambda house, at, lasts=lasts: case(house, at, lasts))) for lasts in (False, True)
    )


def crashes(houses):
    """What a crash may leave to a recovery, one of each kind."""
    house = houses.free[0]
    night = houses.trace("run")
    journal = [call for call in night if call.name == "write"]
    first = next(at for at, call in enumerate(journal, 1) if call.path.endswith(".jsonl.partial"))
    seal = next(call.number for call in night if call.name == "rename" and call.path.endswith(".jsonl"))
    fold = [call.number for call in night if call.name == "rename" and call.path.endswith("/state.json")]
    for name, fault, at in [
        ("a torn journal", "tear", first + 1), ("a manifest without its seal", "kill", seal),
        ("a sealed batch that is not counted", "kill", next(at for at in fold if at > seal)), ("no state", None, 0),
    ]:
        house.reset()
        house("run", fault=fault, at=at, exits=-9 if fault else 0)
        if not fault:
            (house.agent.folder / "mutation-data/state.json").unlink()
        yield name, Left(house)


def sweep_recovery(houses, name, left):
    """ENOSPC and EIO at each call of a start that recovers and delivers; how many there were."""
    house = houses.free[0]
    house.reset(left)
    house("push", exits=0)
    points = [(call, error, lasts) for call in calls(house.log) for error in ("ENOSPC", "EIO") for lasts in (False, True)]

    def case(house, point):
        call, error, lasts = point
        house.reset(left)
        done = house("push", fault=getattr(errno, error), at=f"{call.number}+" if lasts else call.number)
        struck = house.struck()
        assert struck, "the recovery was shorter than the one before"
        table = codes(calls(house.log), house.agent.folder, recovers=True)
        judge(house, done, struck, error, [table[call.number] for call in struck])

    return len(houses(case, points))


def sweep_descriptors(houses):
    """No descriptor is to be had for any file that is opened, or any connection, once and from there on; how many."""
    def case(house, at, lasts):
        house.reset()
        done = house("run", fault=errno.EMFILE, kind="open", at=f"{at}+" if lasts else at)
        struck = house.struck()
        if not struck:
            return None
        assert done.returncode in EXITS, f"exit code {done.returncode}"
        if done.returncode:
            assert os.strerror(errno.EMFILE) in done.stderr, done.stderr
        goes_on(house, finds_everything(house))
        return struck

    return sum(
        len(houses.until_none(lambda house, at, lasts=lasts: case(house, at, lasts))) for lasts in (False, True)
    )


gateway = Pushgateway()
points = 0
for houses in [Sweep(gateway, "fourth night"), Sweep(gateway, "first night", nights=0)]:
    night = houses.trace("run")
    for name, names in ERRORS.items():
        for lasts in (False,) if name in BRIEF else (False, True):
            more = sweep(houses, night, name, names, lasts)
            points += more
            print(f"{houses.name}: {name} {'from' if lasts else 'at'} each of {more} calls {'on' if lasts else ''}")
    more = sweep_passing(houses, night)
    points += more
    print(f"{houses.name}: {more} calls interrupted or short, and nobody sees it")

    more = sweep_lies(houses)
    points += more
    print(f"{houses.name}: {more} lies of the disk")
    more = sweep_network(houses)
    points += more
    print(f"{houses.name}: {more} connections broken")
    more = sweep_descriptors(houses)
    points += more
    print(f"{houses.name}: no descriptor, {more} times")
    if houses.name == "fourth night":
        for name, left in crashes(houses):
            more = sweep_recovery(houses, name, left)
            points += more
            print(f"recovery from {name}: {more} errors")

print(f"{points} errors: what is on record counts, and nothing else")
