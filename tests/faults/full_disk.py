#!/usr/bin/env python3
"""Disks that are really full: of bytes and of inodes, at every size, and one that is read-only.

Needs root, for the mounts. Beside them a limit on the journal's length, and syncs that fail from some round on.
"""

import atexit
import subprocess
from pathlib import Path

from faults import House, Pushgateway, equal
from lib import Agent, config, holds_to, read_log

# A batch of a fresh data folder takes some 100 KiB and 12 inodes.
SIZES = [f"size={kibibytes}k" for kibibytes in range(4, 132, 4)]
INODES = [f"nr_inodes={inodes}" for inodes in range(2, 18)]
ROOM = "size=64m,nr_inodes=0"


def mount(*arguments):
    """Calls mount, which must be possible."""
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"mount {arguments}: {done.stderr}; this check needs root"


def unmount(folder):
    """Where something is mounted."""
    if f" {folder} " in Path("/proc/self/mounts").read_text():
        subprocess.run(["umount", folder], check=True)


def a_night_on(house, limits):
    """A first night on a disk of this size, and the next start on one with room; how the night ended."""
    data = house.agent.folder / "mutation-data"
    house.reset()
    data.mkdir(mode=0o700)
    mount("-t", "tmpfs", "-o", f"mode=0700,{limits}", "tmpfs", data)
    try:
        done = house.agent("run", exits=None)
        assert done.returncode in (0, 73, 74), f"{limits}: exit code {done.returncode}\n{done.stderr}"
        if done.returncode:
            assert "No space left on device" in done.stderr, f"{limits}: {done.stderr}"
        on_record, shown = house.on_record(), house.attempts()
        assert shown <= len(on_record), f"{limits}: {shown} shown, {len(on_record)} on disk"
        if done.returncode == 73:
            equal(f"{limits}: what is left of no batch", list(house.agent.audit.glob("*.*")), [])
        mount("-o", f"remount,{ROOM}", str(data))
        house.agent("push")
        if house.agent.batches():
            house.judge(on_record)
            assert house.attempts() >= shown, f"{limits}: {shown} were shown, and now {house.attempts()}"
        house.agent("run")
        house.judge(on_record)
        house.judge_night()
    finally:
        unmount(data)
    return done.returncode


def a_read_only_disk(house):
    """No batch, and nothing is lost."""
    house.reset()
    house.agent("run")
    house.see()
    data = house.agent.folder / "mutation-data"
    mount("--bind", data, data)
    try:
        mount("-o", "remount,bind,ro", str(data))
        before = house.digest()
        done = house.agent("run", exits=77)
        assert "Read-only file system" in done.stderr, done.stderr
        equal("the data folder", house.digest(), before)
    finally:
        unmount(data)
    house.agent("run")
    house.judge(set(house.known))


def a_night_that_ends_in_an_error(instance, before, lasting=None):
    """The gateway has seen what was written, or what was lasting; the next start counts what it finds."""
    agent = Agent(config(gateway.url, rounds=10, mutations=100, instance=instance))
    agent("run", exits=74, before=before)
    [log] = [*agent.audit.glob("*.partial"), *agent.batches()]
    lines = len(read_log(log))
    assert lines > 0, "nothing was recorded"
    shown = gateway.exposition().value("exit_mutations_total", instance=instance)
    equal("on the gateway", shown, lines if lasting is None else lasting)
    agent("run")
    holds_to(gateway.exposition(), agent.records(), instance=instance)
    equal("the night's own log", len(read_log(agent.batches()[0])), lines)
    equal("nothing is left open", list(agent.audit.glob("*.partial")), [])


gateway = Pushgateway()

# The journal may not grow beyond 64 KiB: a short write, then an error, as on a full disk.
limited = ("sh", "-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "limited")
a_night_that_ends_in_an_error("limited", limited)
# The device fails when the journal is to be made lasting, from the third round of 100 on. What a failed sync leaves on
# the disk nobody knows, so the gateway is shown two rounds, and the next start counts what it finds.
failing = ("strace", "-f", "-qq", "-o", "/dev/null", "--trace=fdatasync", "--inject=fdatasync:error=EIO:when=3+")
a_night_that_ends_in_an_error("failing", failing, lasting=200)

house = House(gateway, "small", nights=0)
atexit.register(unmount, house.agent.folder / "mutation-data")
ended = [a_night_on(house, limits) for limits in SIZES + INODES]
assert {0, 73, 74} == set(ended), f"only {set(ended)}: sizes are not what they should be"
a_read_only_disk(house)

print(
    f"{len(SIZES)} sizes and {len(INODES)} numbers of inodes: "
    f"{ended.count(73)} with no room for a batch, {ended.count(74)} that filled up, {ended.count(0)} large enough; "
    "nothing is shown that is not on disk, and the next start has it all"
)
