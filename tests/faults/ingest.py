#!/usr/bin/env python3
"""SIGKILL, power cuts and errors at every call of an ingest that touches the disk or the gateway.

The next start counts what is on record; the next ingest takes the rest of the log, and each of its lines is there once.
"""

import errno
import os

from faults import House, Left, Pushgateway, Sweep, calls, equal
from old_log import OldLog, log_at_once, scratch

# As in faults/crash; and whether from some call on as well.
CRASHES = {"disk": ("kill", "tear", "data", "names"), "net": ("kill", "tear", "after")}
ERRORS = [(name, lasts) for name in ("ENOSPC", "EIO") for lasts in (False, True)]
NIGHTS, LINES = 3, 25


class OldHouse(House):
    """An agent that takes a log which has grown since each of the calm nights; there is more in it now."""

    def __init__(self, gateway, instance):
        super().__init__(gateway, instance, nights=0)
        whole = scratch("whole.log")
        log_at_once(whole, [1], LINES * (NIGHTS + 1))
        lines = whole.read_bytes().splitlines(keepends=True)
        self.old = self.agent.folder / "old.log"
        self.expected = [line for line, _ in OldLog(whole).records]
        for night in range(1, NIGHTS + 2):
            self.old.write_bytes(b"".join(lines[:night * LINES]))
            if night <= NIGHTS:
                self.agent("ingest", self.old)
                self.see()
        self.calm = Left(self)

    def night(self, **fault):
        """An ingest that may meet a fault."""
        self.reset()
        return self("ingest", self.old, **fault), self.struck()

    def goes_on(self):
        """A start, another one that changes nothing, an ingest that takes what is missing, and a night."""
        on_record, shown = self.on_record(), self.attempts()
        assert shown <= len(self.known), f"the gateway shows {shown} records, and {len(self.known)} are on disk"
        self.agent("push")
        self.judge(on_record)
        assert self.attempts() >= shown, f"the gateway showed {shown} records, and now {self.attempts()}"
        before = self.digest()
        self.agent("push")
        equal("the data folder after a second start", self.digest(), before)
        self.agent("ingest", self.old)
        self.judge(on_record)
        lines = [record["line"] for record in self.known.values() if record["strategy"] == str(self.old)]
        equal("lines", sorted(lines), self.expected)
        self.agent("run")
        self.judge(on_record)
        self.judge_night()


def crashes(houses, kind, fault):
    """One crash at every call of the kind; how many there were."""
    def case(house, at):
        done, struck = house.night(fault=fault, kind=kind, at=at)
        equal("exit code", done.returncode, -9 if struck else 0)
        house.goes_on()
        return struck or None

    return len(houses.until_none(case))


def errs(houses, night, name, lasts):
    """An error at every call that touches the disk, or from it on; how many there were."""
    number = getattr(errno, name)

    def case(house, call):
        done, struck = house.night(fault=number, at=f"{call.number}{'+' if lasts else ''}")
        assert struck, "the night was shorter than the one before"
        assert done.returncode in (0, 73, 74), f"exit code {done.returncode}\n{done.stderr}"
        if done.returncode == 0:
            house.see()
            equal("records after exit code 0", len(house.known), len(house.expected))
        else:
            assert os.strerror(number) in done.stderr, done.stderr
        house.synced_once()
        house.goes_on()

    return len(houses(case, night))


gateway = Pushgateway()
houses = Sweep(gateway, "ingest", house=OldHouse)
night = houses.trace("ingest", houses.free[0].old)
equal("threads that write to the disk", len({call.thread for call in night}), 1)
points = 0
for kind, faults in CRASHES.items():
    for fault in faults:
        more = crashes(houses, kind, fault)
        points += more
        print(f"`{fault}` at each of {more} {kind} calls")
for name, lasts in ERRORS:
    more = errs(houses, night, name, lasts)
    points += more
    print(f"{name} {'from' if lasts else 'at'} each of {more} calls {'on' if lasts else ''}")
print(f"{points} faults in an ingest: what is on record counts, the next one takes the rest, each line once")
