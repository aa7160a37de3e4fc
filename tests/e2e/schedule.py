#!/usr/bin/env python3
"""`schedule` under a clock that libfaketime moves: nights over the gap and the fold of three zones, a suspend, missed
nights, a clock that is set back; signals, a config that is read again, a batch that is killed, a first process.

A service manager's socket hears every turn of its loop as a WATCHDOG, so nothing here waits for a length of time.
"""

import atexit
import json
import os
import re
import signal
import socket
import subprocess
import time
from datetime import datetime, timezone

from lib import ENVIRONMENT, Agent, Clock, config, end, equal, temporary_folder, wait_for

WATCHDOG_USEC = 200_000
# Seconds before a start to which the clock is moved.
LEAD = 0.3


def utc(text):
    """Seconds since 1970 of `2026-03-29T01:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()


def scheduled(cron="0 2 * * *", zone="UTC", rounds=1, more="", **others):
    """An agent.toml with a schedule."""
    return config(rounds=rounds, mutations=4, **others) + (
        f'\n[schedule]\ncron = "{cron}"\ntime_zone = "{zone}"\n{more}\n')


class Manager:
    """A service manager's socket, and what was said to it."""

    def __init__(self):
        self.address = str(temporary_folder() / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        """All that was said until now."""
        while True:
            try:
                self.heard.append(self.socket.recv(65536).decode())
            except BlockingIOError:
                return self.heard

    def wait_for(self, start):
        """The first message from now on that begins so."""
        known = len(self.listen())
        return wait_for(start, lambda: next((one for one in self.listen()[known:] if one.startswith(start)), None))

    def status(self):
        """The newest status."""
        return [one for one in self.listen() if one.startswith("STATUS=")][-1].strip().removeprefix("STATUS=")


class Schedule:
    """`mutation-agent schedule` with a folder, a clock and a service manager of its own."""

    def __init__(self, text, at, agent=None):
        self.agent = agent or Agent(text)
        self.clock, self.manager = Clock(), Manager()
        self.log = temporary_folder() / "log"
        self.at(at)

    def at(self, moment):
        """Sets the clock."""
        self.clock.set(utc(moment) if isinstance(moment, str) else moment)

    def start(self, before=(), exits=None, watched=True):
        """Starts it and waits until it is ready; or until it ends with an exit code."""
        environment = ENVIRONMENT | self.clock.environment
        if watched:
            environment |= {"NOTIFY_SOCKET": self.manager.address, "WATCHDOG_USEC": str(WATCHDOG_USEC)}
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*before, *self.agent.command("schedule")], env=environment, cwd="/", stdout=log, stderr=log)
        atexit.register(end, self.process)
        if exits is not None:
            equal(self.said(), self.process.wait(timeout=30), exits)
        elif watched:
            wait_for("READY=1", lambda: "READY=1\n" in self.manager.listen() or self.process.poll() is not None)
            assert self.process.poll() is None, self.said()
            self.turned()
        else:
            wait_for("its first turn", lambda: "INFO waiting next=" in self.said())
        return self

    def stop(self, code=0, with_signal=signal.SIGTERM):
        """Asks it to stop, and holds it to an exit code."""
        self.process.send_signal(with_signal)
        equal(f"exit code\n{self.said()}", self.process.wait(timeout=30), code)

    def reload(self):
        """Has the config read again."""
        known = len(self.manager.listen())
        self.process.send_signal(signal.SIGHUP)
        wait_for("READY=1 again", lambda: "READY=1\n" in self.manager.listen()[known:])
        self.turned()

    def turned(self, times=2):
        """Waits until its loop has turned: the first sign of life may be older than what was done before."""
        for _ in range(times):
            self.manager.wait_for("WATCHDOG=1")

    def said(self):
        """Its log, and that of its batches."""
        return self.log.read_text()

    def begun(self):
        """The starts that it began a batch for."""
        return re.findall(r'starting a batch start="([^"]*)"', self.said())

    def wait_for_batches(self, count):
        """Waits until so many batches have begun, and the last has ended."""
        wait_for(f"batch {count}\n{self.said()}", lambda: len(self.begun()) == count)
        wait_for("its end", lambda: self.said().count("the batch's process has ended") == count)

    def passes(self, moment):
        """Moves the clock to just before a moment, and over it."""
        self.at(utc(moment) - LEAD)
        self.is_over(moment)

    def is_over(self, moment):
        """Waits until the clock has passed a moment, and the loop has turned since."""
        wait_for(moment, lambda: self.clock.now() > utc(moment))
        self.turned()

    def child(self):
        """The process of the batch."""
        pid = self.process.pid
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()
        return int(children[0]) if children else None


# A season of a zone: the expression, and moments in UTC with what begins there, in local time. `None` is the time
# again, or where it had been without the gap.
SEASONS = {
    "Europe/Berlin": [
        ("30 2 * * *", [
            ("2026-03-28T01:30", "2026-03-28T02:30:00+01:00"), ("2026-03-29T01:00", "2026-03-29T03:00:00+02:00"),
            ("2026-03-29T01:30", None), ("2026-03-30T00:30", "2026-03-30T02:30:00+02:00")]),
        ("30 2 * * *", [
            ("2026-10-24T00:30", "2026-10-24T02:30:00+02:00"), ("2026-10-25T00:30", "2026-10-25T02:30:00+02:00"),
            ("2026-10-25T01:30", None), ("2026-10-26T01:30", "2026-10-26T02:30:00+01:00")]),
    ],
    "America/New_York": [
        ("30 2 * * *", [
            ("2026-03-07T07:30", "2026-03-07T02:30:00-05:00"), ("2026-03-08T07:00", "2026-03-08T03:00:00-04:00"),
            ("2026-03-08T07:30", None), ("2026-03-09T06:30", "2026-03-09T02:30:00-04:00")]),
        ("30 1 * * *", [
            ("2026-10-31T05:30", "2026-10-31T01:30:00-04:00"), ("2026-11-01T05:30", "2026-11-01T01:30:00-04:00"),
            ("2026-11-01T06:30", None), ("2026-11-02T06:30", "2026-11-02T01:30:00-05:00")]),
    ],
    "Australia/Lord_Howe": [
        ("45 1 * * *", [
            ("2026-04-03T14:45", "2026-04-04T01:45:00+11:00"), ("2026-04-04T14:45", "2026-04-05T01:45:00+11:00"),
            ("2026-04-04T15:15", None), ("2026-04-05T15:15", "2026-04-06T01:45:00+10:30")]),
        ("15 2 * * *", [
            ("2026-10-02T15:45", "2026-10-03T02:15:00+10:30"), ("2026-10-03T15:30", "2026-10-04T02:30:00+11:00"),
            ("2026-10-03T15:45", None), ("2026-10-04T15:15", "2026-10-05T02:15:00+11:00")]),
    ],
}


def check_zones():
    """Each night is once, side by side in all zones. From spring to autumn the clock leaps, and the config is read again."""
    places = {zone: Schedule(scheduled(seasons[0][0], zone), utc(seasons[0][1][0][0]) - 3600).start()
              for zone, seasons in SEASONS.items()}
    expected = {zone: [] for zone in places}
    for season in (0, 1):
        for zone, place in places.items():
            cron, moments = SEASONS[zone][season]
            place.at(utc(moments[0][0]) - 3600)
            place.agent.configure(scheduled(cron, zone))
            place.reload()
        for step in range(4):
            for zone, place in places.items():
                moment, start = SEASONS[zone][season][1][step]
                expected[zone] += [start] if start else []
                place.at(utc(moment) - LEAD)
            for zone, place in places.items():
                place.is_over(SEASONS[zone][season][1][step][0])
                place.wait_for_batches(len(expected[zone]))
                equal(zone, place.begun(), expected[zone])
    for zone, place in places.items():
        place.stop()
        starts = [datetime.fromisoformat(text) for text in expected[zone]]
        manifests = [place.agent.manifest(log) for log in place.agent.batches()]
        equal("statuses", [manifest["status"] for manifest in manifests], ["completed"] * len(starts))
        for manifest, start in zip(manifests, starts, strict=True):
            late = (datetime.fromisoformat(manifest["started"].replace("Z", "+00:00")) - start).total_seconds()
            assert 0 <= late < 20, (zone, manifest["started"], start)
    return sum(map(len, expected.values()))


def check_clock():
    """A suspend over a start, a start in its slack, a clock that is set back by hours and by days."""
    place = Schedule(scheduled(), "2026-11-19T01:00").start(watched=False)
    place.at("2026-11-19T07:00")
    missed = 'no batch for them missed=1 newest="2026-11-{}T02:00:00+00:00" catch_up="skip"'.format
    # Nobody wakes it but its own sleep.
    wait_for(f"the missed start\n{place.said()}", lambda: missed(19) in place.said(), seconds=10)
    place.stop()
    place.at("2026-11-20T01:00")
    place.start()
    place.at("2026-11-20T07:00")
    place.turned()
    assert missed(20) in place.said(), place.said()
    place.passes("2026-11-20T02:00")
    equal("the same night again", place.begun(), [])
    place.at("2026-11-21T02:00:40")
    place.wait_for_batches(1)
    place.passes("2026-11-21T02:00")
    equal("set back", place.begun(), ["2026-11-21T02:00:00+00:00"])
    place.at("2026-11-19T12:00")
    place.turned()
    assert "the clock was set back: starts count from there on" in place.said(), place.said()
    place.passes("2026-11-20T02:00")
    place.wait_for_batches(2)
    place.stop()
    equal("starts", place.begun(), ["2026-11-21T02:00:00+00:00", "2026-11-20T02:00:00+00:00"])


def check_missed():
    """Nights without a schedule: made up for once, if that is wanted and they are not too old."""
    place = Schedule(scheduled(more='catch_up = "once"'), "2026-11-22T05:00").start()
    place.turned()
    place.stop()
    equal("the first start ever", place.begun(), [])
    place.at("2026-11-25T05:00")
    place.start()
    place.wait_for_batches(1)
    place.stop()
    assert "this batch is for all of them missed=2" in place.said(), place.said()
    place.at("2026-11-26T12:00")
    place.start()
    place.stop()
    assert 'no batch for them missed=1 newest="2026-11-26T02:00:00+00:00" catch_up="once"' in place.said(), place.said()
    place.agent.configure(scheduled(more='catch_up = "skip"'))
    place.at("2026-11-27T05:00")
    place.start()
    # Another expression has missed nothing.
    place.agent.configure(scheduled("0 4 * * *", more='catch_up = "once"'))
    place.reload()
    place.stop()
    equal("made up for", place.begun(), ["2026-11-25T02:00:00+00:00"])
    equal("considered", json.loads((place.agent.audit.parent / "schedule.json").read_text())["schedule"], "0 4 * * * in UTC")


def check_reload_and_crash():
    """A bad config changes nothing, not even for a batch; a batch that is killed costs its night; another has its lock."""
    text = scheduled(rounds=1_000_000)
    place = Schedule(text, "2026-11-20T01:00").start()
    good = place.manager.status()
    equal("status", good, "next start 2026-11-20T02:00:00+00:00")
    Schedule(text, "2026-11-20T01:00", place.agent).start(exits=75)
    place.agent.configure(text.replace('"0 2 ', '"0 26 '))
    place.reload()
    assert "the one before stays in force" in place.said() and "the hour cannot be `26`" in place.said(), place.said()
    status = place.manager.status()
    assert status.startswith(f"{good}; the config is refused") and "agent.toml:" in status, status
    place.passes("2026-11-20T02:00")
    wait_for("the journal", lambda: list(place.agent.audit.glob("*.partial")))
    assert place.manager.status().startswith("batch running since 2026-11-20T02:00:00+00:00"), place.manager.status()
    # A schedule that is read while a batch runs leaves it alone.
    place.agent.configure(scheduled("0 3 * * *"))
    place.reload()
    os.kill(place.child(), signal.SIGKILL)
    place.wait_for_batches(1)
    assert 'end=killed by signal 9' in place.said(), place.said()
    place.turned()
    equal("status", place.manager.status(), "next start 2026-11-20T03:00:00+00:00")
    place.passes("2026-11-20T03:00")
    place.wait_for_batches(2)
    statuses = [place.agent.manifest(log)["status"] for log in place.agent.batches()]
    equal("statuses", statuses, ["crashed", "completed"])
    # A batch by hand has the lock.
    place.agent.configure(text)
    by_hand = place.agent.start("run")
    wait_for("the journal", lambda: list(place.agent.audit.glob("*.partial")))
    place.passes("2026-11-21T03:00")
    place.wait_for_batches(3)
    assert "end=exit code 75" in place.said(), place.said()
    by_hand.send_signal(signal.SIGTERM)
    by_hand.communicate(timeout=30)
    place.stop()
    heard = place.manager.listen()
    equal("the first word", heard[0], "READY=1\n")
    equal("the way out", [one for one in heard if not one.startswith(("WATCHDOG", "STATUS"))][-1], "STOPPING=1\n")
    reloads = [at for at, one in enumerate(heard) if one.startswith("RELOADING=1\nMONOTONIC_USEC=")]
    times = [int(heard[at].strip().rpartition("=")[2]) / 1e6 for at in reloads]
    assert times == sorted(times) and 0 < time.monotonic() - times[0] < 120, (times, time.monotonic())
    equal("reloads", len(reloads), 2)
    assert all("READY=1\n" in heard[at:at + 2] for at in reloads), heard
    assert not any("round" in one or "sealing" in one for one in heard), "a batch speaks to the manager of the schedule"


def check_stop():
    """SIGTERM and SIGINT while a batch runs; a second signal; and both as the first process of a container."""
    hangs = socket.create_server(("127.0.0.1", 0))
    hanging = f"http://127.0.0.1:{hangs.getsockname()[1]}"
    container = ("unshare", "--pid", "--fork", "--kill-child")
    for number, (before, asked) in enumerate([((), signal.SIGTERM), (container, signal.SIGINT)]):
        place = Schedule(scheduled(rounds=1_000_000), "2026-11-20T01:00").start(before)
        pid = place.process.pid if not before else int(
            open(f"/proc/{place.process.pid}/task/{place.process.pid}/children").read())
        children = f"/proc/{pid}/task/{pid}/children"
        if before:
            # What loses its parent is the first process's, and must not stay behind as a zombie.
            subprocess.run(["nsenter", "--target", str(pid), "--pid", "sh", "-c", "sleep 0.1 & exit"], check=True)
            wait_for("the orphan", lambda: open(children).read())
            wait_for("the orphan's burial", lambda: not open(children).read())
        place.passes("2026-11-20T02:00")
        wait_for("the journal", lambda: list(place.agent.audit.glob("*.partial")))
        # A terminal's Ctrl-C goes to a whole group: of one with us, the batch would hear twice.
        [batch] = map(int, open(children).read().split())
        equal("its process group", os.getpgid(batch), batch)
        os.kill(pid, asked)
        equal(f"exit code\n{place.said()}", place.process.wait(timeout=30), 0)
        [log] = place.agent.batches()
        manifest = place.agent.manifest(log)
        equal("status", (manifest["status"], manifest["exit_code"]), ("interrupted", 128 + asked))
    # Its last push hangs, so it is still there when the second one comes.
    place = Schedule(scheduled(rounds=1_000_000, gateway_url=hanging), "2026-11-20T01:59:58").start()
    wait_for("the journal", lambda: list(place.agent.audit.glob("*.partial")))
    child = place.child()
    place.process.send_signal(signal.SIGTERM)
    wait_for("the seal", place.agent.batches)
    place.stop(143)
    wait_for("the batch's end", lambda: not running(child))
    # And one that does not hear at all gets no more than its time.
    place = Schedule(scheduled(rounds=1_000_000).replace("[batch]", '[batch]\nshutdown_timeout = "1s"'),
                     "2026-11-20T01:59:58").start()
    wait_for("the journal", lambda: list(place.agent.audit.glob("*.partial")))
    child = place.child()
    os.kill(child, signal.SIGSTOP)
    place.stop(143)
    wait_for("the batch's end", lambda: not running(child))
    assert "the batch is killed" in place.said(), place.said()


def running(pid):
    """Whether a process is there and no zombie."""
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(") ", 1)[1][0] != "Z"
    except FileNotFoundError:
        return False


nights = check_zones()
check_clock()
check_missed()
check_reload_and_crash()
check_stop()
print(f"{nights} nights over the gaps and folds of {len(SEASONS)} zones, each begun once; suspends, steps of the clock and "
      "missed nights as catch_up says; a killed batch cost its night, a bad config none; signals went on to the batch")
