"""Starting: nothing to do, one mutation, and strategies to be checked, beside Python and Go."""

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import strategies
from measuring import (
    BENCHES, BINARY, ENVIRONMENT, ROOT, TARGET, Agent, Table, config, equal, median, span, starts, times,
)

TITLE = "Starting"
NAMES = "stop_loss_pct,take_profit_pct,trailing_stop_offset,holding_period_days"
# Jesse's wheel is left out: its strategies are tests of a few lines.
PUBLISHED = ("freqtrade", "lumibot", "vnpy_ctastrategy", "backtrader", "backtesting")
A_STRATEGY = re.compile(rb"^class \w+\([^)]*(Strategy|CtaTemplate)[^)]*\)", re.MULTILINE)


def go_client():
    """The Go client, built from Debian's packages."""
    program = TARGET / "benches/push"
    environment = ENVIRONMENT | {
        "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(TARGET.absolute() / "benches/go"),
    }
    subprocess.run(["go", "build", "-o", program, BENCHES / "reference/push.go"], env=environment, check=True)
    return program


def published(folder):
    """Every file with a strategy in it, of five frameworks' wheels as tests/e2e/corpora.txt pins them."""
    wanted = [line for line in (ROOT / "tests/e2e/corpora.txt").read_text().splitlines()
              if line.split("==")[0] in PUBLISHED]
    list_of_wheels = folder / "wheels.txt"
    list_of_wheels.write_text("\n".join(wanted))
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
         "--disable-pip-version-check", "--dest", folder / "wheels", "--requirement", list_of_wheels],
        check=True,
    )
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".py") and A_STRATEGY.search(archive.read(name)):
                    archive.extract(name, folder / "agent/published")


def parameters_of_published():
    """A [[parameter]] for each of those that the end-to-end check has."""
    tree = ast.parse((ROOT / "tests/e2e/real_strategies.py").read_text())
    [listed] = [node.value for node in tree.body
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PARAMETERS"]
    for name, target, low, high, occurrence in ast.literal_eval(listed):
        yield f"\n[[parameter]]\nname = '{name}'\ntarget = '{target}'\nmin = {low}\nmax = {high}\n"
        if occurrence:
            yield f"occurrence = {occurrence}\n"


def checked(agent):
    """How many targets `check` finds usable, and in how many strategies it looked."""
    found = re.search(r"(\d+) usable targets in (\d+) of (\d+) strategies", agent("check"))
    return int(found[1]), int(found[3])


def compare(table, what, turns, rivals):
    """A row for each of those that do the same, in turns; ours is the first."""
    taken = {name: [] for name, _ in rivals}
    for _ in range(turns):
        for name, command in rivals:
            taken[name] += starts(1, command, cwd="/")
    ours = median([took.wall for took in taken[rivals[0][0]]])
    for name, _ in rivals:
        wall = median([took.wall for took in taken[name]])
        busy = median([took.user + took.system for took in taken[name]])
        peak = max(took.peak for took in taken[name]) / 2**20
        table.add(f"{what}: {name}", span(wall), span(busy), f"{peak:.1f} MiB", times(wall / ours))


def parse(names, folder):
    """The command that has Python parse every file of a folder."""
    return [sys.executable, BENCHES / "reference/parse.py", names, *sorted(folder.rglob("*.py"))]


def generated(table, brief, folder):
    """A thousand generated strategies: all targets are found, and Python finds as many."""
    count = 20 if brief else 1000
    agent = Agent(config(workers=0), folder / "generated")
    strategies.write(agent.folder / "strategies", 153, count)
    command = parse(NAMES, agent.folder / "strategies")
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    equal("usable targets and files of `check`", checked(agent), (said["bound"], said["parsed"]))
    equal("targets", said["bound"], 4 * count)
    compare(table, f"{count:,} strategies of 153 lines", 1 if brief else 7, [
        ("`check`", agent.command("check")), ("Python `ast.parse`", command),
    ])


def real(table, brief, folder):
    """Published strategies; in brief the examples, which need no download."""
    if brief:
        agent = Agent(config(include=f"{ROOT}/examples/strategies/*.py", workers=0), folder / "agent")
        files = ROOT / "examples/strategies"
    else:
        published(folder)
        agent = Agent(config(include="published/**/*.py", workers=0, more="".join(parameters_of_published())),
                      folder / "agent")
        files = agent.folder / "published"
    command = parse(NAMES, files)
    said = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    equal("files of `check`", checked(agent)[1], said["parsed"])
    lines = sum(path.read_bytes().count(b"\n") for path in files.rglob("*.py"))
    compare(table, f"{said['parsed']} published strategies, {lines:,} lines", 1 if brief else 15, [
        ("`check`", agent.command("check")), ("Python `ast.parse`", command),
    ])


def nothing(table, brief, folder):
    """As little as there is to do."""
    turns = 1 if brief else 31
    agent = Agent(config(workers=0), folder / "nothing")
    strategies.write(agent.folder / "strategies", 153)
    compare(table, "a start", turns, [
        ("`run --dry-run` with one strategy", agent.command("run", "--dry-run")),
        ("`run` of one mutation, sealed and synced", agent.command("run", "--rounds", 1, "--mutations", 1)),
        ("`--version`", [BINARY, "--version"]),
        ("Python, `pass`", [sys.executable, "-c", "pass"]),
        ("Python, `import prometheus_client`", [sys.executable, "-c", "import prometheus_client"]),
        ("Go, a registry and a pusher", [go_client()]),
    ])
    equal("batches of one mutation", len(agent.logs()), turns)


def run(brief, folder):
    """The table."""
    table = Table(["what", "wall", "user and system", "peak", "wall ÷ the first's"])
    for part in (nothing, generated, real):
        part(table, brief, Path(folder))
    table.notes.append(
        "Medians, in turns. Files are in the page cache; Python's modules are compiled already. `check` finds and"
        f" judges targets besides parsing; it has {len(os.sched_getaffinity(0))} cores, Python one."
    )
    return table
