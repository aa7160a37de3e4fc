#!/usr/bin/env python3
"""The README's crontab, run as cron runs it: what would be mailed, and what goes to syslog."""

import subprocess

from lib import BINARY, Agent, Pushgateway, config, crontabs, equal, free_port, temporary_folder, wait_for

FILE = "/etc/mutation-agent/agent.toml"
settings, command = next(crontabs())
equal("settings", sorted(settings), ["MAILTO", "PATH", "SHELL"])

# The program where the README installs it, and a `logger` that shows what it got.
place = temporary_folder()
programs = place / "bin"
programs.mkdir()
(programs / "mutation-agent").symlink_to(BINARY)
syslog = place / "syslog"
(programs / "logger").write_text(f'#!/bin/sh\nsed "s/^/$* /" >>{syslog}\n')
(programs / "logger").chmod(0o755)


def tonight(agent, path=programs):
    """What cron would mail, and the exit code, which cron does not look at."""
    assert FILE in command, command
    environment = {
        "HOME": str(place), "LOGNAME": "night", "SHELL": settings["SHELL"],
        "PATH": settings["PATH"].replace("/usr/local/bin", str(path)), "MAILTO": settings["MAILTO"],
    }
    syslog.write_text("")
    done = subprocess.run(
        [settings["SHELL"], "-c", command.replace(FILE, str(agent.folder / "agent.toml"))],
        env=environment, cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, timeout=60, check=False,
    )
    return done.stdout, done.returncode


def logged(words):
    """Waits for a line in syslog: nobody waits for `logger`."""
    found = wait_for(words, lambda: [line for line in syslog.read_text().splitlines() if words in line])
    assert all(line.startswith("-t mutation-agent ") for line in found), found


# A good night is silent, and in syslog from its first line to its last.
gateway = Pushgateway()
agent = Agent(config(gateway.url))
equal("the mail of a good night", tonight(agent), ("", 0))
logged("batch begins")
logged("delivered to 1 of 1 gateways")

# A gateway that is away, with the reason and the summary.
agent.configure(config(f"http://127.0.0.1:{free_port()}", more='attempt_timeout = "1s"\ndeadline = "1s"'))
mail, _ = tonight(agent)
equal("the first line", mail.splitlines()[0], "mutation-agent: exit code 75")
assert "Connection refused" in mail and "delivered to 0 of 1 gateways" in mail, mail
assert len(mail.splitlines()) <= 21, mail
logged("delivered to 0 of 1 gateways")

# A second start, while the first one is at work.
agent.configure(config(rounds=1_000_000))
first = agent.start("run")
wait_for("the first start", lambda: list(agent.audit.glob("*.partial")))
mail, _ = tonight(agent)
equal("the first line", mail.splitlines()[0], "mutation-agent: exit code 75")
assert "lock" in mail or "at work" in mail, mail
first.terminate()
equal("the first start", first.wait(timeout=60), 143)

# A config with a mistake, and a program that is not there.
agent.configure(config().replace("rounds", "round"))
mail, _ = tonight(agent)
equal("the first line", mail.splitlines()[0], "mutation-agent: exit code 78")
assert "agent.toml:3:" in mail and "rounds" in mail, mail
empty = place / "empty"
empty.mkdir()
(empty / "logger").symlink_to(programs / "logger")
mail, _ = tonight(agent, path=empty)
equal("the first line", mail.splitlines()[0], "mutation-agent: exit code 127")
assert "not found" in mail, mail

print("the README's crontab is silent on a good night, and mails code and reason of a bad one")
