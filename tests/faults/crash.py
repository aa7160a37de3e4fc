#!/usr/bin/env python3
"""SIGKILL, and a power cut, at every call that touches the disk or the gateway, and again in the recovery from each.

The next start counts what is on record, once; a second one changes nothing; no line is lost; no counter goes back.
"""

import re
import shutil
import subprocess
from collections import Counter
from itertools import count

from faults import Left, Pushgateway, Sweep, calls, equal, temporary_folder, under

# SIGKILL before the call, or after half of it; power cuts that take unsynced data, or unsynced names as well.
ON_DISK = ("kill", "tear", "data", "names")
# SIGKILL before a request is sent, after half of it, after all of it.
ON_THE_WAY = ("kill", "tear", "after")
# All that changes a disk, whether or not the agent has ever been seen to use it.
CHANGING = (
    "write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice,fsync,fdatasync,sync,syncfs,sync_file_range,"
    "rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,rmdir,truncate,ftruncate,fallocate,"
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,"
    "setxattr,lsetxattr,fsetxattr,utimensat,mmap,sendto,sendmsg,sendmmsg"
)


def every_call_is_counted(house):
    """Holds the shim's count of a night against what strace sees of all threads; the threads' part in it."""
    house.reset()
    trace = temporary_folder() / "strace.log"
    strace = ["strace", "-f", "-yy", "-qq", "-s", "0", "-o", trace, f"--trace={CHANGING}"]
    house.agent("run", before=[*strace, *under(house.log)])
    expected = Counter()
    for line in trace.read_text().splitlines():
        found = re.match(r"\d+ +(\w+)\((.*)", line)
        if found and "resumed>" not in line and changes(house, *found.groups()):
            expected[found[1]] += 1
    counted = Counter(call.name for kind in ("disk", "net") for call in calls(house.log, kind))
    equal("calls counted, and calls that strace has seen", counted, expected)
    equal("threads that write to the disk", len({call.thread for call in calls(house.log)}), 1)
    return counted


def changes(house, name, arguments):
    """Whether a line of strace is a change: of a file or folder of the house, or something sent over TCP."""
    if name == "mmap":
        # Memory that is shared with a file and may be written to.
        return "MAP_SHARED" in arguments and "PROT_WRITE" in arguments and str(house.agent.folder) in arguments
    if name in ("openat", "open"):
        return re.search(r"O_CREAT|O_TRUNC|O_TMPFILE", arguments) and "calls.log" not in arguments
    if name in ("write", "writev", "sendto", "sendmsg") and "<TCP" in arguments.split(",")[0]:
        return True
    return str(house.agent.folder) in arguments and "calls.log" not in arguments


def crashes(house, command, fault, kind, at):
    """Lets a command crash at a call, and gives the call; None where the command ended before its turn came."""
    done = house(*command, fault=fault, kind=kind, at=at)
    struck = house.struck()
    equal("exit code", done.returncode, -9 if struck else 0)
    return struck[0] if struck else None


def recovers(house, on_record, shown):
    """A start without faults, and another one, after a crash."""
    house.agent("push")
    if house.known or house.agent.batches():
        house.judge(on_record)
        assert house.attempts() >= shown, f"the gateway showed {shown} attempts, and now {house.attempts()}"
    before = house.digest()
    house.agent("push")
    equal("the data folder after a second start", house.digest(), before)


def sweep(houses, fault, kind, shapes):
    """One crash in a night, at every call; how many there were. The shapes that they leave are kept, one of each."""
    def case(house, at):
        house.reset()
        struck = crashes(house, ["run"], fault, kind, at)
        if not struck:
            return None
        crash = Left(house)
        recovers(house, crash.on_record, crash.attempts)
        house.agent("run")
        house.judge(crash.on_record)
        house.judge_night()
        if shapes.setdefault(crash.shape, crash) is not crash:
            shutil.rmtree(crash.folder)
        return struck

    return len(houses.until_none(case))


def sweep_recovery(houses, first, fault):
    """A second crash, in the recovery from each of `first`, at every call; how many there were."""
    def case(house, crash):
        for at in count(1):
            house.reset(crash)
            if not crashes(house, ["push"], fault, "disk", at):
                return at - 1
            recovers(house, house.on_record() | crash.on_record, crash.attempts)

    return sum(houses(case, first))


gateway = Pushgateway()
fourth = Sweep(gateway, "fourth night")
counted = every_call_is_counted(fourth.free[0])
print(f"a night has {sum(counted.values())} calls, in which strace and the shim agree: {dict(counted)}")

everything = [("disk", fault) for fault in ON_DISK] + [("net", fault) for fault in ON_THE_WAY]
# Many pushes, each of what a power cut must not take back.
busy = Sweep(gateway, "busy night", nights=1, rounds=12, interval="100ms", slow=25000)
points, again = 0, 0
for houses, faults, second in [
    (fourth, everything, ("kill", "tear", "names")),
    (Sweep(gateway, "first night", nights=0), everything, ("kill", "tear")),
    (busy, [("disk", "data"), ("net", "after")], ()),
]:
    shapes = {}
    for kind, fault in faults:
        more = sweep(houses, fault, kind, shapes)
        points += more
        print(f"{houses.name}: `{fault}` at each of {more} {kind} calls")
    for fault in second:
        more = sweep_recovery(houses, list(shapes.values()), fault)
        again += more
        print(f"{houses.name}: `{fault}` at each of {more} disk calls of the recoveries from {len(shapes)} shapes")

shown = busy.trace("run", kind="net")
assert len(shown) > 2, f"a busy night pushes {len(shown)} times only"
print(f"{points} crash points, and {again} in recoveries from them: all on record counts once, and no counter goes back")
