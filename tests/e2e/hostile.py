#!/usr/bin/env python3
"""Files and folders of somebody else's, and devices, in the place of ours: refused, in words that say what to do.

As root, who alone can make them. What needs no root is in tests/it/hostile.rs.
"""

import os
import shutil
import stat
import subprocess

from clean_root import alone
from lib import BINARY, ENVIRONMENT, Agent, config, equal

alone()
SOMEBODY = 65534
LOOKING = (("check",), ("stats",), ("audit", "list"), ("audit", "verify"), ("audit", "prune", "--dry-run"))


def listing(folder):
    """Every name below the folder, with owner, mode, time and length."""
    names = {}
    for path in sorted(folder.rglob("*")):
        seen = path.lstat()
        names[path] = (seen.st_uid, seen.st_mode, seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return names


def refuses(agent, code, *words):
    """`run` and `push` end so, say these words and change nothing."""
    before = listing(agent.folder)
    for command in ("run", "push"):
        said = agent(command, exits=code).stderr
        for word in words:
            assert word in said, f"{word!r} is not in {said}"
    equal("the folder", listing(agent.folder), before)


def looks(agent, but=()):
    """What those say who only look, and how they end."""
    ended = {command: agent(*command, exits=None) for command in LOOKING if command not in but}
    return {command: (one.returncode, one.stdout) for command, one in ended.items()}


def killed():
    """An agent whose newest batch is not in its state yet, so that a start reads its files."""
    agent = Agent(config("http://127.0.0.1:9", rounds=1, mutations=10, more='deadline = "100ms"'))
    agent("run", exits=75)
    state = (agent.audit.parent / "state.json").read_bytes()
    agent("run", exits=75)
    (agent.audit.parent / "state.json").write_bytes(state)
    return agent


def files(agent):
    """What a start acts upon: the name of the case and the file."""
    data, log = agent.audit.parent, agent.batches()[-1]
    manifest = agent.audit / f"{log.stem}.manifest.json"
    return {"lock": data / "lock", "state": data / "state.json", "manifest": manifest, "journal": log, "log": log}


def prepare(case, found):
    """Makes a start read the file of the case; gives its path."""
    if case == "journal":
        return found["log"].rename(found["log"].with_name(f"{found['log'].name}.partial"))
    if case == "log":
        found["manifest"].unlink()
    return found[case]


cases = 0
for case in ("lock", "state", "manifest", "journal", "log"):
    agent = killed()
    place = prepare(case, files(agent))
    seen = looks(agent)
    os.chown(place, SOMEBODY, SOMEBODY)
    refuses(agent, 77, place.name, f"it is owned by uid {SOMEBODY}, and this is uid 0; run as that user, or chown it")
    equal("what is seen of somebody else's", looks(agent), seen)
    assert all(code in (0, 65) for code, _ in seen.values()), seen
    os.chown(place, 0, 0)
    agent("push", exits=75)

    agent = killed()
    place = prepare(case, files(agent))
    place.unlink()
    # /dev/zero: a reader would read for ever; opened for writing it swallows everything.
    os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    refuses(agent, 73, place.name, "it is a device, not a regular file; move it away")
    cases += 2

for name in ("mutation-data", "mutation-data/audit"):
    agent = killed()
    seen = looks(agent, but=[("check",)])
    os.chown(agent.folder / name, SOMEBODY, SOMEBODY)
    refuses(agent, 77, f"{name} is owned by uid {SOMEBODY}, and this is uid 0")
    said = agent("check", exits=77).stdout
    assert f"is owned by uid {SOMEBODY}" in said, said
    equal("what is seen of somebody else's", looks(agent, but=[("check",)]), seen)
    cases += 1

# The other way round: root's folder and somebody who is not root, as after a start by hand under sudo. From within the
# folder and with the program in it, since he need not be let through to where they are.
agent = killed()
shutil.chown(agent.folder, SOMEBODY)
os.chmod(agent.folder, 0o755)
shutil.copy(BINARY, agent.folder / "mutation-agent")
os.chmod(agent.folder / "mutation-agent", 0o755)
said = subprocess.run(
    ["setpriv", f"--reuid={SOMEBODY}", "--clear-groups", "./mutation-agent", "--config", "agent.toml", "run"],
    env=ENVIRONMENT, cwd=agent.folder, capture_output=True, text=True, check=False,
)
equal(f"exit code of somebody else: {said.stderr}", said.returncode, 77)
assert f"is owned by uid 0, and this is uid {SOMEBODY}" in said.stderr, said.stderr
cases += 1

# A textfile that somebody else owns, or a device: replaced, for its folder is all that matters.
agent = Agent(config(rounds=1, mutations=10) + '\n[metrics]\ntextfile = "agent.prom"\n')
place = agent.folder / "agent.prom"
os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(1, 5))
agent("run")
assert "exit_mutations_total 10" in place.read_text() and stat.S_ISREG(place.lstat().st_mode)
cases += 1

print(f"{cases} files and folders of somebody else's, or devices, refused")
