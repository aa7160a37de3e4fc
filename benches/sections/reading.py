"""Figures over a gigabyte of audit lines, beside DuckDB, jq, pandas and polars; and recovery of a torn journal."""

import atexit
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import strategies
from measuring import (
    BENCHES, ENVIRONMENT, Agent, Table, built, close, config, digest, digits, equal, median, python, span, starts, times,
    took,
)
from sections.evaluating import agent_with

TITLE = "Reading back"
# Some attempts come to nothing, so that there is something to tell apart.
MORE = """
        [[constraint]]
        rule = "holding_period_days <= 22"
"""
# With it, the one mutation of a batch breaks no rule; a batch without any success ends with another code.
SEED = 1
JQ = """
    [inputs | [.success, .duration_ms]] | (map(.[1]) | sort) as $sorted | ($sorted | length) as $count | {
        total: length, successes: (map(select(.[0])) | length), average: (($sorted | add) / $count),
        p50: $sorted[($count * 0.5 | ceil) - 1], p95: $sorted[($count * 0.95 | ceil) - 1],
        p99: $sorted[($count * 0.99 | ceil) - 1], min: $sorted[0], max: $sorted[-1]}
"""
EXACT = ("total", "successes")


def agent_with_logs(folder, size):
    """An agent, its log of about so many bytes, plain and packed by the agent itself, and what the batch took that packed it."""
    agent = Agent(config(workers=0, more=MORE).replace("compress = false", "compress = true"), folder / "agent")
    strategies.write(agent.folder / "strategies", 153, 4)
    agent("run", "--rounds", 1, "--mutations", 1000)
    [log] = agent.logs()
    each = log.stat().st_size / 1000
    agent.forget()
    agent("run", "--rounds", 10, "--mutations", int(size / each / 10) + 1)
    [log] = agent.logs()
    plain = folder / "log.jsonl"
    os.link(log, plain)
    # The next batch packs it.
    cost = took(agent.command("run", "--rounds", 1, "--mutations", 1, "--seed", SEED), cwd="/")
    [packed] = (agent.data / "audit").glob("*.jsonl.zst")
    os.link(packed, folder / "log.jsonl.zst")
    agent.forget()
    return agent, plain, folder / "log.jsonl.zst", cost


def ours(agent, log):
    """Seconds of the whole process, its peak, and its figures under the names of the others."""
    with (agent.folder / "said").open("w+") as out:
        cost = took(agent.command("stats", "--json", log), cwd="/", stdout=out)
        out.seek(0)
        said = json.load(out)
    spread = said["duration_statistics"]
    figures = {name: said[name] for name in EXACT} | {"average": said["avg_duration_seconds"] * 1e3}
    figures |= {name: spread[name] * 1e3 for name in ("p50", "p95", "p99", "min", "max")}
    return cost.wall, cost.peak, figures


def by_jq(log, share, folder):
    """The same of jq, over one record in `share`, scaled."""
    part = folder / f"part{log.suffix}"
    read = ["zstd", "-dcq"] if log.suffix == ".zst" else ["cat"]
    if not part.exists():
        pack = "zstd -q" if log.suffix == ".zst" else "cat"
        subprocess.run(
            ["sh", "-c", f'{" ".join(read)} "$0" | awk "NR % {share} == 1 || {share} == 1" | {pack} > "$1"', log, part],
            check=True,
        )
    with (
        subprocess.Popen([*read, part], stdout=subprocess.PIPE, env=ENVIRONMENT) as source,
        (folder / "said").open("w+") as said,
    ):
        cost = took(["jq", "-n", "-c", JQ], stdin=source.stdout, stdout=said)
        said.seek(0)
        return cost.wall * share, cost.peak, json.load(said)


def by_python(library):
    """The same of a library of Python."""
    def read(log, _share, _folder):
        said = python(BENCHES / "readers.py", library, log)
        return said["seconds"], said["peak"], said["figures"]
    return read


def agree(who, found, expected, share):
    """The figures are ours: counts and extremes to the digit, percentiles within the three digits that we keep."""
    if share == 1:
        for name in EXACT:
            equal(f"{name} of {who}", found[name], expected[name])
        for name in ("average", "min", "max"):
            close(f"{name} of {who}", found[name], expected[name], 1e-6)
        for name in ("p50", "p95", "p99"):
            close(f"{name} of {who}", found[name], expected[name], 2e-3)
    else:
        close(f"total of {who}, scaled", found["total"] * share, expected["total"], 1e-4)
        close(f"successes of {who}, scaled", found["successes"] * share, expected["successes"], 0.01)


def compare(table, brief, folder):
    """Everyone over the same log, plain and packed."""
    turns = 1 if brief else 5
    share = 1 if brief else 10
    agent, plain, packed, packing = agent_with_logs(folder, 2e6 if brief else 1e9)
    rivals = [("DuckDB", by_python("duckdb")), ("polars", by_python("polars")), ("pandas, in chunks", by_python("pandas")),
              (f"jq, over a {share}th, scaled" if share > 1 else "jq", by_jq)]
    size = plain.stat().st_size
    for log in (plain, packed):
        seconds = {name: [] for name, _ in rivals} | {"ours": []}
        peaks = {}
        for _ in range(turns):
            wall, peaks["ours"], expected = ours(agent, log)
            seconds["ours"].append(wall)
            for name, rival in rivals:
                # Whoever takes long is asked once.
                if seconds[name] and seconds[name][0] > 5:
                    continue
                wall, peaks[name], found = rival(log, share, folder)
                agree(f"{name} over {log.name}", found, expected, share if rival is by_jq else 1)
                seconds[name].append(wall)
        for name in seconds:
            wall = median(seconds[name])
            what = f"`stats`, {log.suffix[1:]}" if name == "ours" else f"{name}, {log.suffix[1:]}"
            table.add(what, span(wall), f"{size / wall / 1e9:.2f} GB/s",
                      f"{peaks[name] / 2**20:,.0f} MiB", times(wall / median(seconds["ours"])))
    table.add("a batch that packs it", span(packing.wall), f"{size / packing.wall / 1e9:.2f} GB/s",
              f"{packing.peak / 2**20:,.0f} MiB", "")
    table.notes.append(
        f"{size / 1e9:.2f} GB, {expected['total']:,} records, packed {packed.stat().st_size / 1e6:,.0f} MB; the page"
        f" cache is warm. Medians of {turns}; who takes more than five seconds is asked once. Ours and jq are the whole"
        " process, the others are without their imports. All find the same figures: total, successes, average,"
        " minimum, maximum, 50th, 95th and 99th percentile. The batch after it packs a log, reads it again and holds it to"
        " its digest, when all else is done (`[audit] compress`); that and the recoveries are one start each."
    )


def kill_a_run(agent, records):
    """Leaves a journal of exactly so many whole lines and a piece of one; gives it, and the bytes of these lines."""
    process = subprocess.Popen(
        agent.command("run", "--rounds", 1000, "--mutations", max(1000, records // 100)),
        env=ENVIRONMENT, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    atexit.register(process.kill)
    lines = 0
    while process.poll() is None and not (found := list((agent.data / "audit").glob("*.partial"))):
        time.sleep(0.01)
    [journal] = found
    with journal.open("rb", buffering=0) as file:
        while process.poll() is None and lines <= records:
            block = file.read(1 << 20)
            lines += block.count(b"\n")
            if not block:
                time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    equal("the run was killed", process.wait(), -signal.SIGKILL)
    whole = offset_of_line(journal, records)
    os.truncate(journal, whole + 100)
    return journal, whole


def offset_of_line(path, count):
    """Where so many lines end; there are more."""
    offset, left = 0, count
    with path.open("rb") as file:
        while (lines := (block := file.read(1 << 20)).count(b"\n")) < left:
            left -= lines
            offset += len(block)
    at = -1
    for _ in range(left):
        at = block.index(b"\n", at + 1)
    return offset + at + 1


def recover(table, what, agent, records):
    """The start after a kill, a row; the bytes of its journal, what OpenSSL takes to hash them, and the start's command."""
    journal, size = kill_a_run(agent, records)
    hashed = digest(journal)
    start = agent.command("run", "--rounds", 1, "--mutations", 1, "--seed", SEED)
    cost = took(start, cwd="/")
    [crashed] = [one for one in manifests(agent) if one["status"] == "crashed"]
    equal("recovered records", crashed["records"], records)
    [broken] = (agent.data / "audit").glob("*.broken")
    equal("bytes cut off", broken.stat().st_size, 100)
    table.add(
        f"recovery of {records:,} {what}, torn", span(cost.wall), f"{size / cost.wall / 1e9:.2f} GB/s",
        f"{cost.peak / 2**20:,.0f} MiB", "",
    )
    return size, hashed, start


def recoveries(table, brief, folder):
    """Of a night that only mutates, and of one in which the search has to be followed as well."""
    agent = Agent(config(workers=0, more=MORE), folder / "killed")
    strategies.write(agent.folder / "strategies", 153, 4)
    size, hashed, start = recover(table, "mutations", agent, 10_000 if brief else 10_000_000)
    usual = median([one.wall for one in starts(5, start, cwd="/")])
    evaluated = agent_with(built("evaluator"), folder / "evaluated", "stream", 2)
    recover(table, "evaluations", evaluated, 1_000 if brief else 200_000)
    table.notes.append(
        f"Recovery: a run was killed by SIGKILL, its journal cut in the middle of a line ({size / 1e9:.2f} GB of"
        f" mutations); the next start seals it and runs one mutation, which alone takes {span(usual)}. The SHA-256 of the"
        f" journal, which the manifest needs, takes OpenSSL {span(hashed)}: the batch has noted how far it came with it,"
        " every 64 MiB (`midstates.txt`). Of evaluations the search is followed as well, record by record."
    )


def manifests(agent):
    """All of them, oldest first."""
    return [json.loads(path.read_text()) for path in sorted((agent.data / "audit").glob("*.manifest.json"))]


def run(brief, folder):
    """The table."""
    table = Table(["what", "time", "of plain bytes", "peak", "time ÷ ours"])
    compare(table, brief, folder)
    recoveries(table, brief, Path(folder))
    return table
