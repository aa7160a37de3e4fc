#!/usr/bin/env python3
"""`ingest` of what an old Python program has logged: audit, a real Pushgateway, `stats` and promtool say what the log
says, counted here; each of its lines counts once, whatever its file is called, however often it is taken, and
whenever the agent is killed, loses its state or finds the disk full; and what is no such log is refused in words."""

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
from datetime import datetime

from lib import Held, Pushgateway, close, equal, shim, wait_for
from old_log import RECORD, House, OldLog, audit_is, log_at_once, logger, outcome, scratch, shown_is

REASONS = {"torn", "not_json", "no_parameter", "no_success", "no_timestamp"}
OUTCOMES = {"success", "no_change", "invalid_source", "failed"}


def packed(log, target):
    """The log under another name, packed as the name says."""
    if target.suffix == ".gz":
        target.write_bytes(gzip.compress(log.read_bytes()))
    elif target.suffix == ".zst":
        subprocess.run(["zstd", "-q", log, "-o", target], check=True)
    else:
        shutil.copy(log, target)
    return target


def a_finished_log(gateway):
    """Four processes have written into it, each of which was killed in a line, and other programs as well."""
    log, house = scratch(), House(gateway, "finished")
    log_at_once(log, range(4), 120, "--dies")
    with log.open("a") as file:
        # Behind the torn ones, in the same line.
        file.write(RECORD)
        file.write("\n  \r\nTraceback (most recent call last):\n[1, 2]\n" + '{"level": "info", "message": "started"}\n')
        file.write('{"parameter": "stop_loss_pct", "timestamp": "2026-11-20T05:00:00"}\n')
        file.write(RECORD.replace("2026-11-20T05:00:00", "yesterday"))
        file.write(RECORD.replace("null", '"' + "x" * (1 << 20) + '"') + RECORD.replace("\n", "\r\n"))
        file.write(RECORD.replace("2026-11-20T05:00:00", "2026-11-20 05:00:00.5+01:00"))
        file.write(RECORD.replace('"2026-11-20T05:00:00"', "1795844679.25") + RECORD[:-1])
    known = OldLog(log)
    equal("why lines are left out", set(known.left_out), REASONS)
    equal("outcomes in the log", {outcome(old) for _, old in known.records}, OUTCOMES)
    [would, *_] = house.refuses(0, "--dry-run", log)
    assert would.startswith(f"{log}: {len(known.records)} records would be taken, from line 1 to "), would
    [said, *_] = house.ingest(log)
    assert said.startswith(f"{log}: {len(known.records)} records taken, from line 1 to "), said
    house.took(log, known.records)
    house.agrees()
    manifest = house.manifest(house.batches()[-1])
    [source] = manifest["ingest"]["sources"]
    equal("left out, by reason", source["left_out"], known.left_out)
    equal("the source", (source["path"], source["records"]), (str(log), len(known.records)))
    equal("how it ended", (manifest["status"], manifest["ended_by"]), ("completed", "ingested"))
    equal("replay", json.loads(house("replay", "--json").stdout)["result"], "ingested")
    return house, log


def again(house, log):
    """The same once more, copied and packed, grown, rotated; twice in one command."""
    batches = len(house.batches())
    for name in (log, packed(log, scratch("copy.log")), packed(log, scratch("a.gz")), packed(log, scratch("a.zst"))):
        assert "nothing new" in house.ingest(name)[0], name
    equal("batches", len(house.batches()), batches)

    # The last line has no end yet, and another process goes on behind it.
    count = len(house.taken[str(log)])
    log_at_once(log, [9], 40)
    grown = OldLog(log).records[count:]
    equal("records that are new", len(grown), 40)
    house.ingest(log, log, packed(log, scratch("app.log.gz")))
    house.took(log, grown)
    house.agrees()

    # As logrotate does it: renamed, a last line in it, a new one in its place; one that is packed is named beside it.
    rotated = log.rename(log.with_name("app.log.1"))
    count = len(OldLog(rotated).records)
    log_at_once(rotated, [12], 1)
    log_at_once(log, [10, 11], 30)
    house.ingest(packed(rotated, scratch("app.log.2.zst")), rotated, log)
    house.took(house.records()[-61]["strategy"], OldLog(rotated).records[count:])
    house.took(log, OldLog(log).records)
    house.agrees()
    assert all("nothing new" in line for line in house.ingest(log, rotated)[:2])


def small_log(count=40):
    """A log of one process."""
    log = scratch()
    log_at_once(log, [7], count)
    return log


def strace(call, when, fault):
    """The program under which one of the agent's calls is struck."""
    return ("strace", "-f", "-qq", "-o", "/dev/null", f"--trace={call}", f"--inject={call}:{fault}:when={when}")


def killed(gateway):
    """SIGKILL at calls all over an ingest; then another one, without the state half of the time. How many."""
    log, house = small_log(), House(gateway, "killed")
    first = scratch()
    first.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:15]))
    house.ingest(first)
    calm = scratch("calm")
    shutil.copytree(house.folder / "mutation-data", calm, symlinks=True)
    old, whole = OldLog(first).records, OldLog(log).records
    count = 0
    for call, step in (("write", 1), ("fsync", 2), ("fdatasync", 1), ("rename", 1), ("openat", 3)):
        for when in range(1, 99, step):
            shutil.rmtree(house.folder / "mutation-data")
            shutil.copytree(calm, house.folder / "mutation-data", symlinks=True)
            house.taken = {}
            house.took(first, old)
            house.took(log, whole[len(old):])
            done = house("ingest", log, exits=None, before=strace(call, when, "signal=KILL"))
            if done.returncode == 0:
                break
            equal(f"exit code of a kill at {call} {when}", done.returncode, -signal.SIGKILL)
            if count % 2:
                (house.folder / "mutation-data/state.json").unlink()
            house.ingest(log)
            audit_is(house, house.taken)
            shown = house.gateway.exposition()
            equal(f"shown after {call} {when}", shown.value("exit_mutations_total", instance="killed"), len(whole))
            count += 1
        else:
            raise AssertionError(f"no end of calls of {call}")
    house.agrees()
    return count


def pruned(gateway):
    """The log grows, and each ingest prunes what was taken before, is killed somewhere, and finds no state."""
    house = House(gateway, "pruned", "[audit]\nretention = { batches = 1 }")
    log, lines, seen = scratch(), small_log(120).read_bytes().splitlines(keepends=True), {}

    def look():
        for one in house.on_disk():
            known = seen.setdefault((one["strategy"], one["line"]), one)
            equal("the batch of a line", one["batch_id"], known["batch_id"])

    for turn in range(8):
        log.write_bytes(b"".join(lines[:15 * (turn + 1)]))
        if turn % 2:
            house.ingest(log, exits=None, before=strace("rename,fdatasync", turn // 2 + 1, "signal=KILL"))
            look()
        if turn % 4 > 1:
            (house.folder / "mutation-data/state.json").unlink(missing_ok=True)
        house.ingest(log)
        look()
    olds = OldLog(log).records
    equal("lines that were taken", sorted(line for _, line in seen), [line for line, _ in olds])
    assert len(house.records()) < len(olds), "nothing was pruned"
    shown_is(gateway.exposition(), [old for _, old in olds], instance="pruned")
    house("audit", "verify", "--gateway")
    for name in (log, packed(log, scratch("b.gz"))):
        assert "nothing new" in house.ingest(name)[0]


def full_disk(gateway):
    """No space for the journal from its third write on; then there is some."""
    log, house = small_log(200), House(gateway, "full")
    fault = [f"LD_PRELOAD={shim()}", f"FAULT={errno.ENOSPC}", "FAULT_CLASS=disk", "FAULT_CALL=write",
             "FAULT_PATH=.jsonl.partial", "FAULT_AT=3+"]
    done = house("ingest", log, exits=74, before=["env", *fault])
    assert os.strerror(errno.ENOSPC) in done.stderr, done.stderr
    part = house.gateway.exposition().value("exit_mutations_total", instance="full")
    assert 0 < part < 200, f"{part} were shown"
    house.ingest(log)
    house.took(log, OldLog(log).records)
    house.agrees()


def stopped(gateway):
    """A signal in the middle: what is taken is sealed and shown, and the rest is for the next time."""
    log, house, holder = small_log(4000), House(gateway, "stopped"), Held()
    for code, sent in ((143, signal.SIGTERM), (130, signal.SIGINT), (129, signal.SIGHUP)):
        environment, mark, until = holder.at("write", path=".jsonl.partial")
        process = house.start("ingest", log, environment=environment)
        wait_for("the first write", mark.exists)
        process.send_signal(sent)
        wait_for("the signal to be heard", lambda: "asked to stop" in process.stderr.readline())
        until.touch()
        process.communicate(timeout=30)
        equal(f"exit code after {sent.name}", process.returncode, code)
        equal("status", house.manifest(house.batches()[-1])["status"], "interrupted")
        shown = gateway.exposition().value("exit_mutations_total", instance="stopped")
        equal("records that are shown", shown, len(house.records()))
        assert 0 < shown < 4000, f"{shown} were taken"
    house.ingest(log)
    house.took(log, OldLog(log).records)
    house.agrees()


def away(gateway):
    """A gateway that is away gets it with the next start, although nothing is new then. Of two copies of a log the
    shorter one comes first; a time is still to come."""
    short, log, late, house = scratch("short.log"), small_log(), scratch("late.log"), House(gateway, "away")
    here = (house.folder / "agent.toml").read_text()
    house.configure(here.replace(gateway.url, "http://127.0.0.1:1").replace('deadline = "5s"', 'deadline = "500ms"'))
    short.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:15]))
    late.write_text(RECORD.replace("2026", "2199"))
    house.ingest(short, log, late, exits=75)
    house.ingest(log, exits=75)
    house.configure(here)
    assert "nothing new" in house.ingest(log)[0]
    shown = gateway.exposition()
    equal("shown", shown.value("exit_mutations_total", instance="away"), 41)
    last = shown.value("mutation_batch_last_success_timestamp_seconds", instance="away")
    equal("the last success", last, shown.value("mutation_batch_last_completion_timestamp_seconds", instance="away"))
    equal("batches", len(house.batches()), 1)
    house.took(short, OldLog(short).records)
    house.took(log, OldLog(log).records[15:])
    house.took(late, OldLog(late).records)
    audit_is(house, house.taken)


def zones(gateway):
    """Clocks that go through an hour twice, and that leave one out, as Python's own clock showed them; the log is taken
    while it grows."""
    nights = []
    for zone, start in (("Europe/Berlin", "2026-10-25 01:20:00"), ("Europe/Berlin", "2026-03-29 01:20:00"),
                        ("Australia/Lord_Howe", "2026-04-05 01:00:00")):
        log, clock = scratch(), ("env", f"TZ={zone}", "faketime", "-f", f"@{start} x5000")
        nights.append((zone, start, log, logger(log, 7, 40, "--pause", 250, before=clock)))
    for zone, start, log, process in nights:
        house = House(gateway, start[:10])
        equal("the logger", process.wait(), 0)
        if start.startswith("2026-03"):
            # What no clock has shown there, as zoneinfo has it.
            with log.open("a") as file:
                file.write(RECORD.replace("2026-11-20T05:00:00", "2026-03-29T02:30:00"))
        known = OldLog(log, zone)
        offsets = {datetime.fromisoformat(old["timestamp"]) - old["utc"].replace(tzinfo=None)
                   for _, old in known.records}
        equal(f"offsets in {zone}", len(offsets), 2)
        for _, old in known.records[:40]:
            close("the reading here", old["utc"].timestamp(), old["epoch"], 1e-12)
        lines = log.read_bytes().splitlines(keepends=True)
        for count in range(5, len(lines) + 5, 5):
            log.write_bytes(b"".join(lines[:count]))
            # The machine's own zone, or one that is named.
            if start.startswith("2026-10"):
                house.ingest(log, before=("env", f"TZ={zone}"))
            else:
                house.ingest("--timezone", zone, log)
        house.took(log, known.records)
        audit_is(house, house.taken)


def refused(gateway):
    """What is no old log, or none that goes with what is known: in words, and nothing is written."""
    house, folder = House(gateway, "refused"), scratch("x").parent
    log = small_log()
    house.ingest(log)
    house.took(log, OldLog(log).records)
    text = log.read_bytes()

    def file(name, content):
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder / name

    unknown = file("unknown.log", RECORD.replace("stop_loss_pct", "max_drawdown") * 2
                   + RECORD.replace("stop_loss_pct", "leverage"))
    house.refuses(65, log, unknown, words=("max_drawdown", "leverage", f"{unknown}:1", f"{unknown}:3", "[[parameter]]"))
    house.refuses(74, folder / "missing.log", words=(folder / "missing.log",))
    house.refuses(74, log, folder, words=(folder,))
    nothing = file("nothing.log", "hello\n{}\n")
    house.refuses(65, nothing, words=(nothing,))
    endless = file("endless.log", RECORD + "x" * (64 << 20))
    house.refuses(65, log, endless, words=(f"{endless}:2", "longer than 64 MiB"))
    house.refuses(0, file("empty.log", ""), words=("empty.log: nothing new",))
    for name in ("a.gz", "a.zst"):
        pack = packed(log, folder / name).read_bytes()
        damaged = bytearray(pack)
        damaged[len(pack) // 2] ^= 0xFF
        house.refuses(65, file(f"damaged-{name}", bytes(damaged)), words=(f"damaged-{name}",))
        # The new lines before the damage are not taken either.
        longer = packed(file(f"longer-{name}.log", text + RECORD.encode() * 9), folder / f"longer-{name}").read_bytes()
        house.refuses(65, file(f"cut-{name}", longer[:-5]), words=(f"cut-{name}",))
    first, second, *rest = text.splitlines(keepends=True)
    other = file("other.log", first + RECORD.encode() + b"".join(rest) + RECORD.encode() * 99)
    house.refuses(65, other, words=(other,))
    house.refuses(0, file("shorter.log", first + second), words=("shorter.log",))
    house.refuses(2, "--timezone", "Nowhere/Land", log, words=("Nowhere/Land",))
    house.refuses(2)
    secret = file("secret.log", RECORD)
    secret.chmod(0)
    os.chown(secret, 65534, 65534)
    without = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    house.ingest(secret, exits=77, before=without)
    holder = Held()
    environment, mark, until = holder.at("rename", path=".jsonl")
    running = house.start("run", environment=environment)
    wait_for("a batch at work", mark.exists)
    house("ingest", file("new.log", RECORD), exits=75)
    until.touch()
    equal("the batch at work", running.wait(), 0)
    equal("batches", len(house.batches()), 2)


def main():
    """All stories, each with a group of its own."""
    gateway = Pushgateway()
    again(*a_finished_log(gateway))
    zones(gateway)
    refused(gateway)
    full_disk(gateway)
    stopped(gateway)
    away(gateway)
    pruned(gateway)
    kills = killed(gateway)
    print(f"an old log is in audit, gateway and stats as it is counted here, each line once: after {kills} kills, "
          "growth, rotation, packing, pruning, a full disk and lost states")


if __name__ == "__main__":
    main()
