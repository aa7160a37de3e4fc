#!/usr/bin/env python3
"""Published strategies of six frameworks: hundreds of files, judged as the bundled ones are.

They come from PyPI as wheels (corpora.txt), are unpacked to a temporary folder, and never installed or run.
"""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from judge import digests, judge_batch
from lib import Agent, Pushgateway, config, equal, holds_to, temporary_folder

# Name, target, bounds, and which one is meant: how freqtrade, vn.py, lumibot, backtrader and jesse call them.
PARAMETERS = [
    ("stoploss", "stoploss", -0.35, -0.02, None),
    ("roi_0", 'minimal_roi["0"]', 0.01, 0.9, None),
    ("roi_60", 'minimal_roi["60"]', 0.001, 0.5, None),
    ("trailing_stop_positive", "trailing_stop_positive", 0.001, 0.1, None),
    ("trailing_stop_positive_offset", "trailing_stop_positive_offset", 0.001, 0.2, None),
    ("trailing_percent", "trailing_percent", 0.1, 5.0, None),
    ("fixed_size", "fixed_size", 1, 100, None),
    ("take_profit_threshold", "self.take_profit_threshold", 0.001, 1.0, None),
    ("stop_loss_threshold", "self.stop_loss_threshold", -1.0, -0.001, None),
    ("stop_loss_pct", "stop_loss_pct", 0.001, 0.9, None),
    ("startup_candle_count", "startup_candle_count", 1, 2000, None),
    ("fast_period", "fast_period", 1, 100, 1),
    ("slow_period", "slow_period", 1, 400, 1),
    ("period", "period", 1, 400, 1),
    ("other_period", "period", 1, 400, 2),
    ("window", "window", 1, 400, 1),
    ("days", "days", 1, 4000, 1),
    ("warm_up_candles", "warm_up_candles", 0, 1000, 1),
    ("leverage", "leverage", 1, 125, 1),
    ("futures_leverage", "futures_leverage", 1, 125, 1),
    ("quantity", "quantity", 1, 10000, 1),
    ("qty", "qty", 0.001, 10000.0, 1),
    ("multiplier", "multiplier", 0.1, 1000.0, 1),
    ("price", "price", 0.01, 100000.0, 1),
    ("fee", "fee", 0.0, 0.1, 1),
    ("threshold", "threshold", -1000.0, 1000.0, 1),
    ("offset", "offset", -100, 100, 1),
    ("timeout", "timeout", 0.1, 10000.0, 1),
]


def unpacked():
    """A folder with all wheels, each in a folder of its own."""
    folder = temporary_folder()
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes",
         "--disable-pip-version-check", "--dest", folder / "wheels",
         "--requirement", Path(__file__).with_name("corpora.txt")],
        check=True,
    )
    for wheel in (folder / "wheels").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith(".py"):
                    archive.extract(name, folder / "corpora" / wheel.name.split("-")[0])
    return folder / "corpora"


gateway = Pushgateway()
corpora = unpacked()
packages = sorted(path.name for path in corpora.iterdir())
text = config(gateway.url, rounds=10, mutations=1500).replace("examples/strategies/*.py", "*/**/*.py")
text += "\n[output]\nkeep = 10\n"
for name, target, low, high, occurrence in PARAMETERS:
    text += f"\n[[parameter]]\nname = '{name}'\ntarget = '{target}'\nmin = {low}\nmax = {high}\n"
    text += f"occurrence = {occurrence}\n" if occurrence else ""
agent = Agent(text, strategies=None, folder=corpora)
before = digests(corpora)

check = agent("check").stdout
found = re.search(r"(\d+) usable targets in (\d+) of (\d+) strategies", check)
targets, usable, files = map(int, found.groups())
equal("files", files, len(before))
assert files > 1000 and targets > 300, found.group()

agent("run", "--seed", 7)
# What the literal is called: the last part of the target.
names = {name: re.split(r"[.\[]", target)[-1].strip('"]') for name, target, *_ in PARAMETERS}
count, strategies = judge_batch(agent, names)
assert count > 1500, f"only {count} candidates"
equal("strategies with candidates", strategies, usable)
equal("the originals", digests(corpora), before)
holds_to(gateway.exposition(), agent.records())

print(
    f"{files} files of {', '.join(packages)}: {targets} usable targets in {usable};"
    f" CPython judged {count} candidates"
)
