#!/usr/bin/env python3
"""The disk fills up in a batch: exit code 74, whole lines, nothing counted that is not on record, a clean next start.

By a limit on the journal's length, by strace, which lets its syncs fail, and by a small tmpfs where one can be mounted.
"""

import atexit
import os
import subprocess

from lib import Agent, Pushgateway, config, equal, holds_to, read_log


def after_the_night(agent, instance, lasting=None):
    """What a night that ended in an I/O error left behind: the gateway has seen its lines, or those that were lasting."""
    logs = [*agent.audit.glob("*.partial"), *agent.batches()]
    equal("logs", len(logs), 1)
    lines = len(read_log(logs[0]))
    assert lines > 0, "nothing was recorded"
    shown = gateway.exposition().value("exit_mutations_total", instance=instance)
    equal("on the gateway", shown, lines if lasting is None else lasting)
    return lines


gateway = Pushgateway()

# The journal may not grow beyond 64 KiB: a short write, then an error, as on a full disk.
limited = ("sh", "-c", "trap '' XFSZ; ulimit -f 128; exec \"$@\"", "limited")
# The device fails when the journal is to be made lasting, from the third round of 100 on. What a failed sync leaves on
# the disk nobody knows, so the gateway is shown two rounds, and the next start counts what it finds.
failing = ("strace", "-f", "-qq", "-o", "/dev/null", "--trace=fdatasync", "--inject=fdatasync:error=EIO:when=3+")
for instance, before, lasting in [("limited", limited, None), ("failing", failing, 200)]:
    agent = Agent(config(gateway.url, rounds=10, mutations=100, instance=instance))
    night = agent("run", exits=74, before=before)
    lines = after_the_night(agent, instance, lasting)
    agent("run")
    holds_to(gateway.exposition(), agent.records(), instance=instance)
    equal("the night's own log", len(read_log(agent.batches()[0])), lines)
    equal("nothing is left open", list(agent.audit.glob("*.partial")), [])

# A disk that is really full.
agent = Agent(config(gateway.url, rounds=100, mutations=100, instance="tmpfs"))
disk = agent.folder / "mutation-data"
disk.mkdir(mode=0o700)
mount = subprocess.run(
    ["mount", "-t", "tmpfs", "-o", "size=512k,mode=0700", "tmpfs", disk], capture_output=True, text=True, check=False
)
if mount.returncode == 0:
    atexit.register(subprocess.run, ["umount", disk], check=False)
    agent("run", exits=74)
    assert os.statvfs(disk).f_bavail < 16, "the disk is not full"
    lines = after_the_night(agent, "tmpfs")
    # While it stays full, no batch begins, and nothing is lost.
    agent("run", exits=73)
    subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
    agent("run", "--rounds", 3)
    holds_to(gateway.exposition(), agent.records(), instance="tmpfs")
    equal("the full night's log", len(read_log(agent.batches()[0])), lines)
    full = f"a full tmpfs after {lines} records"
else:
    full = "no tmpfs can be mounted here"

print(f"errors at writes and syncs exit 74, and what is on record counts; {full}")
