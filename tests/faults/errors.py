#!/usr/bin/env python3
"""An error at every call that touches the disk, once and from there on: the exit code that the table gives, words that
say where, nothing shown that is not on disk, and a next start that finds everything."""

import errno
import os

from faults import BATCH, Pushgateway, Sweep, calls, equal

NAMES = ("write", "openat", "mkdir", "rename", "symlink", "fsync", "fdatasync")
# What may come of which calls.
ERRORS = {
    "ENOSPC": NAMES,
    "EDQUOT": NAMES,
    "EIO": (*NAMES, "unlink", "ftruncate"),
    "EMFILE": ("openat",),
    "EROFS": ("openat", "mkdir", "rename", "symlink", "unlink"),
}
# What the agent's libraries try again, and nobody ever sees.
INTERRUPTIBLE = ("write", "openat", "fsync", "fdatasync", "ftruncate")


def codes(night, folder):
    """By the number of a call in a night without faults: the exit code that an error there gives."""
    found, manifests, saves, before = {}, 0, 0, 0
    for call in night:
        path = os.path.relpath(call.path, folder)
        manifests += call.name == "unlink" and path.endswith(".manifest.json.tmp")
        saves += manifests == 2 and call.name == "unlink" and path == "mutation-data/.state.json.tmp"
        # A folder is synced for what was done in it just before.
        is_folder = call.name == "fsync" and "." not in os.path.basename(path).removeprefix(".")
        before = before if is_folder else code(path, manifests, saves)
        found[call.number] = before
    return found


def code(path, manifests, saves):
    """The table, by what is struck and how far the batch is."""
    if "agent.prom" in path or "latest" in path:
        return 0  # The textfile and the links are for others; a warning.
    if path.startswith("evolved"):
        return 73
    if manifests == 0 or (manifests == 1 and not path.endswith(".partial")):
        return 73  # No batch has begun.
    if saves == 2 and "audit" in path:
        return 0  # Pruning and packing, when all is done.
    return 74


def errs(house, fault, at):
    """Lets a night meet an error from a call on; the codes that the table has for the calls that were struck."""
    house.reset()
    done = house("run", fault=fault, at=at)
    struck = house.struck()
    table = codes(calls(house.log), house.agent.folder)
    return done, struck, {table[call.number] for call in struck}


def says_where(house, done, struck, name):
    """The log names the error and a file that was struck, or its folder."""
    words = os.strerror(getattr(errno, name)) if name != "short" else ""
    assert words in done.stderr, f"no word of `{words}` in:\n{done.stderr}"
    # Of a file that could not be renamed, the log has the name that it had.
    places = {(BATCH.findall(call.path) or [os.path.basename(call.path).removeprefix(".")])[-1] for call in struck}
    assert any(place in done.stderr for place in places), f"none of {places} in:\n{done.stderr}"


def no_second_sync(house):
    """What failed to become lasting is never synced again as if nothing had happened."""
    failed = set()
    for call in calls(house.log):
        if call.name == "openat":
            failed.discard(call.path)
        if call.name in ("fsync", "fdatasync") and os.path.splitext(call.path)[1]:
            assert call.path not in failed, f"{call.path} is synced again after a sync that failed"
            if call.struck:
                failed.add(call.path)


def judge(house, done, struck, name, codes_of_struck, lasts):
    """What an error may do, and what a healthy next start must find."""
    if codes_of_struck == {0}:
        equal("exit code", done.returncode, 0)
    elif len(codes_of_struck) == 1:
        equal("exit code", done.returncode, 77 if name == "EROFS" and 73 in codes_of_struck else codes_of_struck.pop())
    else:
        assert done.returncode in codes_of_struck - {0} | {77}, f"exit code {done.returncode}, not {codes_of_struck}"
    says_where(house, done, struck, name)
    no_second_sync(house)
    on_record, shown = house.on_record(), house.attempts()
    assert shown <= len(house.known), f"the gateway shows {shown} attempts, and {len(house.known)} are on disk"
    if not lasts:
        for path in house.agent.audit.glob("*.partial"):
            content = path.read_bytes()
            assert content in (b"",) or content.endswith(b"\n"), f"{path} ends in half a line"
    house.agent("push")
    if house.agent.batches():
        house.judge(on_record)
        assert house.attempts() >= shown, f"the gateway showed {shown} attempts, and now {house.attempts()}"
    house.agent("run")
    house.judge(on_record)
    house.judge_night()


def sweep(houses, night, name, names, lasts):
    """The error at every call of these names; how many there were."""
    number = getattr(errno, name)

    def case(house, call):
        done, struck, table = errs(house, number, f"{call.number}+" if lasts else call.number)
        assert struck, "the night was shorter than the one before"
        judge(house, done, struck, name, table, lasts)

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
        equal("exit code", {done.returncode}, table)
        on_record, shown = house.on_record(), house.attempts()
        assert shown <= len(house.known), f"the gateway shows {shown} attempts, and {len(house.known)} are on disk"
        house.agent("push")
        if house.agent.batches():
            house.judge(on_record)
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


gateway = Pushgateway()
points = 0
for houses in [Sweep(gateway, "fourth night"), Sweep(gateway, "first night", nights=0)]:
    night = houses.trace("run")
    for name, names in ERRORS.items():
        for lasts in (False, True):
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

print(f"{points} errors: what is on record counts, and nothing else")
