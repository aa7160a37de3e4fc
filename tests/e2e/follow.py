#!/usr/bin/env python3
"""`ingest --follow` beside the old program at work: several processes in one file, lines in two pieces, a process that
is killed in a line, rotation by Python and by a shell, a follower that is killed; each line counts once. In between it
is in nobody's way, and at its end everything is sealed and shown."""

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from lib import Held, Pushgateway, end, equal, read_log, wait_for
from old_log import RECORD, House, OldLog, audit_is, log_at_once, logger, scratch
from old_logger import PARAMETERS

IDLE = 2
MORE = '[audit]\nflush_interval = "100ms"'


class Follower(House):
    """An agent that follows logs."""

    def __init__(self, gateway, instance, more=""):
        super().__init__(gateway, instance, f'interval = "1s"\n{more}\n{MORE}')
        self.process = None

    def follow(self, *logs):
        """Starts it."""
        self.process = self.start("ingest", "--follow", "--idle", f"{IDLE}s", *logs)

    def has(self, count, log=None):
        """Waits until so many records are on disk, of all logs or of one."""
        def seen():
            try:
                return sum(log is None or one["strategy"] == str(log) for one in self.on_disk()) >= count
            except FileNotFoundError:
                return False  # Renamed while we looked.

        self.comes_to(f"{count} records of {log or 'all'}", seen)

    def comes_to(self, what, condition):
        """Waits until the follower has done that; its end is a failure at once."""
        def seen():
            found = condition()
            assert found or self.process.poll() is None, f"{self.instance} has ended: {self.process.stderr.read()}"
            return found

        return wait_for(f"{what}, {self.instance}", seen)

    def rests(self, count):
        """Waits until so many records are on disk and no batch is open."""
        self.has(count)
        self.comes_to("a seal", lambda: not list(self.audit.glob("*.partial")))

    def ends(self, code=0, sent=signal.SIGTERM):
        """It ends so, by a signal or by itself; what it said."""
        if sent:
            self.process.send_signal(sent)
        out, said = self.process.communicate(timeout=30)
        assert "panicked" not in said, said
        equal(f"exit code of the follower\n{out}{said}", self.process.returncode, code)
        return said

    def took_in_turn(self, log, files):
        """Of these, each of which was the log for some time, everything was taken; and nothing is new in them."""
        for path in files:
            self.took(log, OldLog(path).records)
        self.agrees()
        said = self.ingest(*files)
        equal("what is told of them", ["nothing new" in line for line in said], [True])


def waits(processes):
    """Until these loggers are through."""
    return {process.wait() for process in processes}


def live(gateway):
    """Several processes that write at the same time, some of them by halves; then nothing; then more."""
    house, log, other = Follower(gateway, "live"), scratch(), scratch("other.log")
    house.follow(log, other)
    writers = [logger(log, seed, 60, "--pause", 0.04, "--halves", 9) for seed in (1, 2, 3)]
    writers.append(logger(other, 4, 60, "--pause", 0.04))
    shown = house.comes_to("a push of the open batch", lambda: pushed(house))
    equal("in progress", shown.value("mutation_batch_in_progress", instance="live"), 1)
    waits(writers)
    house.rests(len(OldLog(log).records) + 60)
    # Nobody is locked out.
    house.comes_to("a push beside it", lambda: house("push", "--all", exits=None).returncode == 0)
    house("audit", "verify", "--gateway")
    log_at_once(log, [5], 20)
    house.rests(len(OldLog(log).records) + 60)
    house.ends()
    for path in (log, other):
        house.took(path, OldLog(path).records)
    house.agrees()
    house("run")


def pushed(house):
    """What the gateway shows of the open batch, once there is something."""
    shown = house.gateway.exposition()
    found = shown.all("exit_mutations_total", instance=house.instance)
    return shown if found and found[0][1] > 0 and list(house.audit.glob("*.partial")) else None


def killed(gateway):
    """A logger is killed in a line and another one goes on in it; the follower is killed, and a new one goes on."""
    house, log = Follower(gateway, "killed-follower"), scratch()
    log_at_once(log, [1], 10, "--dies")
    house.follow(log)
    for turn in range(4):
        writer = logger(log, turn, 25, "--pause", 0.02, *(["--dies"] if turn % 2 else []))
        house.has(15 + 25 * turn)
        end(house.process)
        house.follow(log)
        waits([writer])
        house.has(len(whole(log)))
    house.ends(sent=signal.SIGINT)
    house.took(log, whole(log))
    house.agrees()


def whole(log):
    """Its records up to the last newline, which are those that a follower takes."""
    text = log.read_bytes()
    return OldLog(log, text=text[:text.rfind(b"\n") + 1]).records


def rotated(gateway):
    """RotatingFileHandler renames the log each second or two; in the end nothing is new in any of the files."""
    house, log = Follower(gateway, "rotated"), scratch()
    house.follow(log)
    waits([logger(log, 1, 200, "--pause", 0.04, "--rotate", 60000)])
    files = sorted(log.parent.glob("app.log.*"), key=lambda path: -int(path.suffix[1:])) + [log]
    assert len(files) > 3, f"{len(files)} files"
    house.has(200)
    house.ends()
    house.took_in_turn(log, files)


def truncated(gateway):
    """`copytruncate`: the log is copied and cut, and the logger goes on at its new beginning."""
    house, log = Follower(gateway, "truncated"), scratch()
    house.follow(log)
    writer, files = logger(log, 1, 150, "--pause", 0.02), []
    for turn in range(1, 4):
        house.has(30 * turn)
        writer.send_signal(signal.SIGSTOP)
        house.has(sum(len(OldLog(path).records) for path in (*files, log)))
        files.append(log.with_name(f"app.log.{turn}"))
        subprocess.run(["sh", "-c", 'cp "$0" "$1" && : >"$0"', log, files[-1]], check=True)
        writer.send_signal(signal.SIGCONT)
    waits([writer])
    house.has(150)
    house.ends()
    files.append(log)
    house.took_in_turn(log, files)


def busy(gateway):
    """A log in which something comes all the time keeps nothing back that comes in another one: that appears, is renamed,
    or has no record."""
    house, log, other, noise = Follower(gateway, "busy"), scratch(), scratch("other.log"), scratch("noise.log")
    house.follow(log, other, noise)
    writer = logger(log, 1, 300, "--pause", 0.05)
    house.has(10)
    log_at_once(other, [2], 20)
    house.has(20, other)
    first = other.rename(other.with_name("other.log.1"))
    log_at_once(other, [3], 10)
    house.has(30, other)
    equal("the busy one", writer.poll(), None)
    batches = len(house.batches())
    for _ in range(12):
        with noise.open("a") as file:
            file.write("{}\n")
        time.sleep(0.25)
    equal("batches that ended for mere noise", len(house.batches()), batches)
    equal("the busy one", writer.poll(), None)
    end(writer)
    house.has(30 + len(whole(log)))
    house.ends()
    house.took(log, whole(log))
    for path in (first, other):
        house.took(other, OldLog(path).records)
    house.agrees()


def others(gateway):
    """Another batch holds the lock; a gateway is away; a parameter that is not configured."""
    house, log, holder = Follower(gateway, "others"), scratch(), Held()
    house.follow(log)
    environment, mark, until = holder.at("rename", path=".jsonl", seconds=60)
    running = house.start("run", "--rounds", 1, "--mutations", 10, environment=environment)
    wait_for("a batch at work", mark.exists)
    log_at_once(log, [1], 20)
    time.sleep(IDLE)
    equal("sealed batches", house.batches(), [])
    until.touch()
    equal("the batch at work", running.wait(), 0)
    house.rests(30)
    with log.open("a") as file:
        file.write(RECORD + RECORD.replace("stop_loss_pct", "max_drawdown") + RECORD)
    said = house.ends(65, sent=None)
    equal("how often it is said that it waits", said.count("another mutation-agent is at work"), 1)
    for word in ("max_drawdown", f"{log}:22", "[[parameter]]"):
        assert word in said, f"{word} is not in {said}"
    equal("batches", [len(read_log(path)) for path in house.batches()], [10, 20])
    more = PARAMETERS + [("max_drawdown", 0, 0, 1)]
    house.configure((house.folder / "agent.toml").read_text() + "".join(
        f'[[parameter]]\nname = "{name}"\nmin = {low}\nmax = {high}\n' for name, _, low, high in more))
    house.follow(log)
    house.has(33)
    house.ends()

    away, log = Follower("http://127.0.0.1:1", "away"), scratch()
    log_at_once(log, [1], 20)
    away.follow(log)
    away.has(20)
    away.ends(75)
    away.took(log, OldLog(log).records)
    audit_is(away, away.taken)


def main():
    """All stories at the same time, since most of the time they wait."""
    gateway = Pushgateway()
    with ThreadPoolExecutor() as pool:
        for told in [pool.submit(story, gateway) for story in (live, killed, rotated, truncated, busy, others)]:
            told.result()
    print("followed: processes at the same time, lines in pieces, kills on both sides, rotation, copytruncate; "
          "each line counts once")


if __name__ == "__main__":
    main()
