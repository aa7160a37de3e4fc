#!/usr/bin/env python3
"""On a terminal a batch shows how far it is: a bar with rate, share of successes and time to go. Elsewhere it does not.

When the terminal goes away, the batch is sealed: the kernel sends SIGHUP, and there is nothing left to write to.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from lib import Agent, config, equal, read_log

LONGEST = 60


def on_a_terminal(agent, *arguments):
    """What a batch that is stopped once its bar was seen has written to its terminal, and its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        # 24 lines of 120 columns.
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
        os.environ["TERM"] = "xterm-256color"
        command = agent.command(*arguments)
        os.execv(command[0], command)
    seen, until, stopped = b"", time.monotonic() + LONGEST, False
    while time.monotonic() < until:
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # The other end is closed.
                break
        if not stopped and b"% success" in seen:
            os.kill(child, signal.SIGINT)
            stopped = True
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen).decode(), code


agent = Agent(config(rounds=100000, mutations=100))
shown, code = on_a_terminal(agent, "run")
equal("interrupted", code, 130)
bar = re.search(r"[\d,]+/10,000,000 mutations +\d+/s +[\d.]+% success +eta \w+", shown)
assert bar, f"no bar with rate, success rate and time to go in:\n{shown}"
assert re.search(r"batch \S+ interrupted: ", shown), "the result is not there"

night = agent("run", "--rounds", 3)
assert "eta" not in night.stderr and "\x1b" not in night.stderr, "a bar where there is no terminal"


# On a terminal the durations are drawn as well, and each mutation is in one of the rows.
figures, code = on_a_terminal(agent, "stats")
equal("stats", code, 0)
rows = re.findall(r"^ +\S+ [nµm]?s +[█▏▎▍▌▋▊▉]* +(\d+)\r?$", figures.split("durations of mutations, up to")[1], re.M)
total = int(re.search(r"mutations +(\d+)", figures)[1])
equal("mutations in the rows", sum(map(int, rows)), total)
assert "up to" not in agent("stats").stdout, "drawn where there is no terminal"


def left_by_its_terminal(agent):
    """The exit code of a batch whose terminal is closed once its bar was seen."""
    child, terminal = pty.fork()
    if child == 0:
        command = agent.command("run")
        os.execv(command[0], command)
    seen = b""
    while b"/10,000,000" not in seen:
        seen += os.read(terminal, 65536)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


equal("exit code without a terminal", left_by_its_terminal(agent), 129)
newest = agent.batches()[-1]
manifest = agent.manifest(newest)
equal("status", manifest["status"], "interrupted")
equal("records", manifest["records"], len(read_log(newest)))
said = agent("run", "--rounds", 3).stderr
assert "killed" not in said, said

print(f"the bar reads `{bar[0]}`")
