"""What grows with strategies, evaluations, nights, shards and groups of a Pushgateway: the curves of docs/SCALE.md."""

import base64
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import strategies
from measuring import ENVIRONMENT, ROOT, Agent, Table, built, config, digits, equal, median, span, starts, times, took

sys.path.append(str(ROOT / "tests/e2e"))
from lib import Pushgateway  # noqa: E402

TITLE = "Scale"
PAGE = "docs/SCALE.md"
# What is written for people grows with strategies × keep, and would hide the rest.
NO_CANDIDATES = """
        [output]
        keep = 0
"""


def size(count):
    """Bytes as people read them."""
    for unit, step in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= step:
            return digits(count / step, unit)
    return f"{count} B"


def mebibytes(count):
    """Memory."""
    return f"{count / 2**20:,.0f} MiB"


def newest_manifest(agent):
    """Its path."""
    return max((agent.data / "audit").glob("*.manifest.json"))


def series(agent):
    """How many a push has."""
    return sum(not line.startswith("#") for line in (agent.folder / "metrics.prom").read_text().splitlines())


def agent_of(folder, count, evaluator=None, workers=1, more=NO_CANDIDATES):
    """One with so many strategies of 153 lines."""
    if evaluator:
        more += f"""
        [evaluator]
        command = {[str(evaluator), "--stream", "1"]!r}
        mode = "stream"
        workers = {workers}
        """
    folder.mkdir(parents=True)
    agent = Agent(config(more=more, workers=0), folder)
    strategies.write(agent.folder / "strategies", 153, count)
    return agent


def by_strategies(brief, folder):
    """Ever more strategies, whose candidates nobody judges."""
    counts, turns, mutations = ((10, 100), 1, 1_000) if brief else ((10, 100, 1_000, 10_000), 3, 1_000_000)
    table = Table(["strategies", "`check`", "its peak", "`run` of one mutation", "each mutation", "peak", "manifest", "series"])
    for count in counts:
        agent = agent_of(folder / str(count), count)
        checks = starts(turns, agent.command("check"), cwd="/")
        one, many = ([], [])
        for taken, rounds, each in ((one, 1, 1), (many, 10, mutations // 10)):
            for _ in range(turns):
                agent.forget()
                taken += starts(1, agent.command("run", "--rounds", rounds, "--mutations", each), cwd="/")
        equal("records", agent.manifest()["records"], mutations)
        equal("strategies", len(agent.manifest()["strategies"]), count)
        wall = lambda taken: median([took.wall for took in taken])
        table.add(
            f"{count:,}", span(wall(checks)), mebibytes(max(took.peak for took in checks)), span(wall(one)),
            span((wall(many) - wall(one)) / mutations) if not brief else "", mebibytes(max(took.peak for took in many)),
            size(newest_manifest(agent).stat().st_size), f"{series(agent):,}",
        )
        shutil.rmtree(agent.folder)
    table.notes.append(
        f"Strategies of 153 lines with four targets each. A night of {mutations:,} mutations in ten rounds; medians of {turns},"
        f" the greatest peaks. No candidates are written (`[output] keep = 0`); {candidates(folder / 'candidates', 20 if brief else 1_000)}"
    )
    return table


def candidates(folder, count):
    """What it takes to write those that there are by default, as a sentence."""
    walls = []
    for kept, more in (("none", NO_CANDIDATES), ("ten", "")):
        agent = agent_of(folder / kept, count, more=more)
        walls.append(took(agent.command("run", "--rounds", 1, "--mutations", 20 * count), cwd="/").wall)
    files = [path for path in (agent.folder / "evolved").rglob("*.py") if not any(one.is_symlink() for one in path.parents)]
    equal("candidates", len(files), 10 * count)
    disk = sum(path.stat().st_blocks * 512 for path in files)
    shutil.rmtree(folder)
    return (
        f"the default, ten for each strategy, are {len(files):,} files for {count:,} strategies, {size(disk)}, which take"
        f" {span(walls[1] - walls[0])}."
    )


def by_judged_strategies(brief, folder):
    """Ever more strategies, whose candidates are judged at no cost."""
    counts = (10, 100) if brief else (10, 100, 1_000, 10_000)
    evaluator = built("evaluator")
    table = Table([
        "strategies", "evaluations", "each", "peak", "manifest", "state", "series", "the next night's first mutation", "its peak",
    ])
    for count in counts:
        agent = agent_of(folder / str(count), count, evaluator)
        attempts = 10 * count if brief else max(10 * count, 10_000)
        night = took(agent.command("run", "--seed", 1, "--rounds", 10, "--mutations", attempts // 10), cwd="/")
        evaluations = sum(agent.manifest()["tally"]["evaluation_histogram"]["counts"]) + count
        manifest, state = (path.stat().st_size for path in (newest_manifest(agent), agent.data / "state.json"))
        shown = series(agent)
        after = next_night(agent, count)
        table.add(
            f"{count:,}", f"{evaluations:,}", span(night.wall / evaluations), mebibytes(night.peak), size(manifest), size(state),
            f"{shown:,}", span(after.wall), mebibytes(after.peak),
        )
    fill_memories(agent)
    after = next_night(agent, count)
    manifest, state = (path.stat().st_size for path in (newest_manifest(agent), agent.data / "state.json"))
    table.add(
        f"{count:,}, memories full", "", "", "", size(manifest), size(state), f"{shown:,}", span(after.wall), mebibytes(after.peak),
    )
    shutil.rmtree(folder)
    table.notes.append(
        "One worker, an evaluator in C that answers at once (`mode = \"stream\"`). *Each* is the whole night by all its"
        " evaluations, the sources among them. The next night judges every source before its first mutation. The last row:"
        " each strategy remembers as many candidates as it may (`memory`, 1000), as after many nights."
    )
    return table


def next_night(agent, count):
    """What a batch of one mutation takes, which goes on with the search of so many strategies."""
    taken = took(agent.command("run", "--seed", 1, "--rounds", 1, "--mutations", 1), cwd="/")
    manifest = agent.manifest()
    searches = manifest["evolution"]["searches"]
    batch = manifest["batch_id"]
    equal("searches that go on", sum(one["batch"] == batch for one in searches), count)
    equal("searches that began anew", sum(len(one["population"]) < 2 for one in searches), 0)
    return taken


def fill_memories(agent):
    """As if every strategy had been judged for so long that its memory is full."""
    path = agent.data / "state.json"
    state = json.loads(path.read_text())
    for at, search in enumerate(state["searches"]):
        # 1000 of eight bytes, none of them anybody's.
        text = "".join(hashlib.sha256(f"{at} {part}".encode()).hexdigest() for part in range(250))
        search["memory"] = base64.b64encode(bytes.fromhex(text)).decode().rstrip("=")
    path.write_text(json.dumps(state, separators=(",", ":")) + "\n")


def by_evaluations(brief, folder):
    """Ever more evaluations in a night that is killed at its end, and the start that finds it."""
    counts, workers = ((500, 1_000), 1) if brief else ((10_000, 100_000, 1_000_000), 1)
    table = Table([
        "evaluations", "each", "the agent's peak", "log", "state", "manifest", "the start after SIGKILL", "a start else", "its peak",
    ])
    agent = agent_of(folder, 100, built("evaluator"), workers)
    for count in counts:
        agent.forget()
        seconds, peak = killed_night(agent, count)
        log = next((agent.data / "audit").glob("*.partial")).stat().st_size
        command = agent.command("run", "--seed", 1, "--rounds", 1, "--mutations", 1)
        after, usual = took(command, cwd="/"), took(command, cwd="/")
        [crashed] = [one for one in manifests(agent) if one["status"] == "crashed"]
        assert crashed["records"] >= count, f"{crashed['records']} of {count} records"
        manifest, state = (path.stat().st_size for path in (newest_manifest(agent), agent.data / "state.json"))
        table.add(
            f"{count:,}", span(seconds / crashed["records"]), mebibytes(peak), size(log), size(state), size(manifest),
            span(after.wall), span(usual.wall), mebibytes(after.peak),
        )
    shutil.rmtree(folder)
    table.notes.append(
        "100 strategies, one worker, rounds of 1,000 attempts; the evaluator in C answers at once. The start after the kill"
        " reads the log, seals it, follows the search through every record, and then runs one mutation; *a start else* runs one"
        " mutation alone. Both judge the 100 sources first."
    )
    return table


def killed_night(agent, count):
    """Starts a night and kills it when so many records are on disk: seconds since the first one, and its peak in bytes."""
    process = subprocess.Popen(
        agent.command("run", "--seed", 1, "--rounds", count // 1_000 + 2, "--mutations", 1_000),
        env=ENVIRONMENT, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        found = []
        while not found:
            assert process.poll() is None, "the night has ended"
            time.sleep(0.005)
            found = [path for path in (agent.data / "audit").glob("*.partial") if path.stat().st_size]
        began, lines = time.perf_counter(), 0
        with found[0].open("rb", buffering=0) as journal:
            while lines < count:
                assert process.poll() is None, f"the night has ended after {lines} records"
                block = journal.read(1 << 20)
                lines += block.count(b"\n")
                if len(block) < 1 << 20:
                    time.sleep(0.02)
        seconds = time.perf_counter() - began
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    finally:
        process.kill()
        process.wait()
    return seconds, peak


def manifests(agent):
    """All of them."""
    return [json.loads(path.read_text()) for path in (agent.data / "audit").glob("*.manifest.json")]


def by_nights(brief, folder):
    """Ever more nights of a search: what of it grows."""
    checkpoints = (1, 3) if brief else (1, 30, 365)
    evaluator = built("evaluator")
    table = Table(["nights", "data", "state", "of it the ways", "longest way", "a night", "peak"])
    for data, word in (("the same", "--stream"), ("others each night", "--drift")):
        agent = agent_of(folder / word, 2, evaluator)
        toml = agent.folder / "agent.toml"
        toml.write_text(toml.read_text().replace("--stream", word))
        night = agent.command("run", "--rounds", 5, "--mutations", 20)
        for checkpoint, before in zip(checkpoints, (0, *checkpoints)):
            # Where all within reach was tried a night finds nothing, and says so.
            taken = starts(checkpoint - before, night, exits=None, cwd="/")
            state = (agent.data / "state.json").read_bytes()
            searches = json.loads(state)["searches"]
            ways = [one["lineage"] for search in searches for one in (*search["population"], *search.get("stale", ()))]
            table.add(
                f"{checkpoint:,}", data, size(len(state)), size(len(json.dumps(ways, separators=(",", ":")))),
                max(map(len, ways)), span(median([took.wall for took in taken[-5:]])), mebibytes(taken[-1].peak),
            )
    shutil.rmtree(folder)
    table.notes.append(
        "Two strategies, five rounds of 20 attempts a night; the evaluator in C answers at once. With the same data each night what"
        " is within reach comes to its end; with others each night (`--drift`) all survivors are judged again, and go on from there."
    )
    return table


class Years:
    """Sealed batches of ten mutations, an hour apart: copies of a real one with ids, times, totals and digests as they would be."""

    def __init__(self, agent):
        self.audit, self.state_path = agent.data / "audit", agent.data / "state.json"
        # The hour is all of a batch's time that is changed.
        while True:
            agent.forget()
            agent("run", "--rounds", 1, "--mutations", 10, "--seed", 1)
            manifest, [log] = newest_manifest(agent), agent.logs()
            self.one, self.lines = json.loads(manifest.read_text()), log.read_text()
            if self.one["started"][:13] == self.one["ended"][:13]:
                break
        self.state = json.loads(self.state_path.read_text())
        for path in (manifest, log, self.audit / "latest.jsonl", agent.data / "outline.json"):
            path.unlink()

    def make(self, count):
        """So many, and the state after them."""
        first = datetime.fromisoformat(self.one["started"]) - timedelta(hours=count)
        manifest = {name: value for name, value in self.one.items() if name not in ("totals_before", "previous_sha256", "sha256")}
        manifest, previous, before = json.dumps(manifest)[:-1], None, self.one["totals_before"]
        for at in range(count):
            moment = first + timedelta(hours=at)
            lines = self.dated(self.lines, moment).encode()
            rest = {"sha256": hashlib.sha256(lines).hexdigest(), "previous_sha256": previous, "totals_before": before}
            text = f"{self.dated(manifest, moment)},{json.dumps(rest)[1:]}\n".encode()
            batch = self.dated(self.one["batch_id"], moment)
            last = {"batch_id": batch, "manifest_sha256": hashlib.sha256(text).hexdigest(), "previous_sha256": previous}
            for name, content in ((f"{batch}.jsonl", lines), (f"{batch}.manifest.json", text)):
                with open(os.open(self.audit / name, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(content)
            previous, before = last["manifest_sha256"], self.totals(at + 1, moment)
        self.state_path.write_text(json.dumps(self.state | {"totals": before, "last_batch": last}))

    def dated(self, text, moment):
        """With that hour in ids and times."""
        for form in ("%Y%m%dT%H", "%Y-%m-%dT%H"):
            text = text.replace(datetime.fromisoformat(self.one["started"]).strftime(form), moment.strftime(form))
        return text

    def totals(self, count, moment):
        """Those of so many batches, the last of that hour."""
        after = json.loads(self.dated(json.dumps(self.state["totals"]), moment))
        tally, last = after["tally"], after["last"]
        for name in ("attempts", "successes"):
            tally[name] *= count
        for parameter in tally["parameters"].values():
            parameter["clamped"] *= count
            for outcomes in parameter["operators"].values():
                outcomes.update({name: number * count for name, number in outcomes.items()})
        tally["duration_histogram"]["counts"] = [number * count for number in tally["duration_histogram"]["counts"]]
        for durations in (tally["duration_histogram"], tally["durations"]):
            durations["sum_nanoseconds"] *= count
        tally["durations"]["quantiles"] = [[upper, number * count] for upper, number in tally["durations"]["quantiles"]]
        figures = {name: last[name] for name in ("attempts", "successes", "duration_p95")}
        return after | {"batches": {"completed": count}} | ({"recent": [figures] * min(count - 1, 30)} if count > 1 else {})


def by_batches(brief, folder):
    """Ever more sealed batches."""
    counts, turns = ((10, 40), 1) if brief else ((400, 4_000, 40_000), 5)
    table = Table(["sealed batches", "`run`", "its peak", "`stats`", "`report`", "`audit list`", "`audit verify`", "state", "on disk"])
    for count in counts:
        agent = agent_of(folder / str(count), 1)
        toml = agent.folder / "agent.toml"
        toml.write_text(toml.read_text().replace(
            "compress = false", 'compress = false\nretention = { batches = 1000000, age = "36000d", bytes = "1000GiB" }'
        ))
        Years(agent).make(count)
        reading = []
        for command in (("stats",), ("report", "--output", agent.folder / "report.html"), ("audit", "list"), ("audit", "verify")):
            with (agent.folder / "said").open("w") as said:
                reading.append(took(agent.command(*command), cwd="/", stdout=said).wall)
        sound = f"{count} batches, {10 * count} records verified: sound"
        assert sound in (agent.folder / "said").read_text(), f"not said: {sound}"
        disk = sum(path.stat().st_blocks * 512 for path in (agent.data / "audit").iterdir())
        run = agent.command("run", "--rounds", 1, "--mutations", 10)
        # The first one has to list the folder, as after a kill.
        runs = starts(turns + 1, run, cwd="/")[1:]
        equal("totals", json.loads((agent.data / "state.json").read_text())["totals"]["batches"]["completed"], count + turns + 1)
        table.add(
            f"{count:,}", span(median([took.wall for took in runs])), mebibytes(max(took.peak for took in runs)),
            *map(span, reading), size((agent.data / "state.json").stat().st_size), size(disk),
        )
        shutil.rmtree(agent.folder)
    table.notes.append(
        f"Batches of ten mutations, an hour apart, copies of a real one whose ids, times, totals and digests were made as they"
        f" would be: `audit verify` finds all of them sound. `run` is one of ten mutations, the median of {turns}. Nothing is pruned or"
        " packed. By default the retention keeps 400 batches, and no row but the first comes about."
    )
    return table


def by_shards(brief, folder):
    """One config on ever more shards."""
    count, mutations, counts = (40, 1_000, (1, 4)) if brief else (1_000, 1_000_000, (1, 4, 16, 64))
    agent = agent_of(folder / "agent", count)
    table = Table([
        "shards", "strategies of a shard", "the largest ÷ the mean", "a start", "all starts, processor time", "the slowest night",
        "÷ one shard's", "÷ without the reading", "its peak",
    ])
    first = None
    for shards in counts:
        agent.forget()
        parts, taken = [], []
        for index in range(shards):
            command = agent.command("run", "--seed", 1, "--rounds", 10, "--mutations", mutations // 10)
            taken += starts(1, [*command, "--shard", f"{index}/{shards}"], cwd="/")
            parts.append(shard_manifest(agent, index))
        names = [entry["path"] for part in parts for entry in part["strategies"]]
        equal("strategies of all shards", (len(names), len(set(names))), (count, count))
        equal("records of all shards", sum(part["records"] for part in parts), mutations)
        sizes = [len(part["strategies"]) for part in parts]
        check = starts(3, agent.command("run", "--dry-run", "--shard", f"0/{shards}"), cwd="/")
        start = median([took.wall for took in check])
        slowest = max(took.wall for took in taken)
        first = first or (slowest, start)
        table.add(
            shards, f"{min(sizes)} to {max(sizes)}", times(max(sizes) * shards / count), span(start),
            span(shards * median([took.user + took.system for took in check])), span(slowest), f"{slowest / first[0]:.3f}",
            f"{(slowest - start) / (first[0] - first[1]):.3f}", mebibytes(max(took.peak for took in taken)),
        )
    table.notes.append(
        f"{count:,} strategies of 153 lines, a night of {mutations:,} mutations that nobody judges, all shards one after the other on"
        " this machine. A start is `run --dry-run`: every shard reads every strategy, because which ones are usable decides whose"
        " turn is when. All shards together have each strategy and each record once."
    )
    return table


def shard_manifest(agent, index):
    """The newest manifest of a shard."""
    return json.loads(max((agent.data / f"shard-{index}/audit").glob("*.manifest.json")).read_text())


class Client:
    """Pushes over one connection."""

    def __init__(self, gateway):
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)

    def ask(self, method, path, text=None):
        """Seconds of a request, and its answer."""
        began = time.perf_counter()
        self.connection.request(method, path, text)
        answer = self.connection.getresponse()
        said = answer.read()
        # Without its check the gateway says 202: it will be taken.
        assert answer.status in (200, 202), f"{method} {path}: {answer.status} {said[:200]}"
        return time.perf_counter() - began, said

    def push(self, group, text):
        """The seconds of one to the group of a shard."""
        return self.ask("PUT", f"/metrics/job/exit_evolution/shard/{group}", text)[0]


def by_groups(brief, folder):
    """Ever more groups in a real Pushgateway, as it is by default and without its check."""
    plain = agent_of(folder / "plain", 4)
    judged = agent_of(folder / "judged", 4 if brief else 128, built("evaluator"))
    for agent in (plain, judged):
        agent("run", "--rounds", 2, "--mutations", 500)
    rows = ((2, plain), (10, judged)) if brief else ((10, plain), (100, plain), (1_000, plain), (1_000, judged))
    turns = 3 if brief else 20
    table = Table(["groups", "series of each", "series", "a push, p50", "without the check", "a scrape", "its size", "memory"])
    for at, (groups, agent) in enumerate(rows):
        text, count = (agent.folder / "metrics.prom").read_bytes(), series(agent)
        place = folder / str(at)
        place.mkdir(parents=True)
        # Filled without the check, which goes through all groups at each push, and kept in its file.
        free = Pushgateway("--push.disable-consistency-check", folder=place)
        client = Client(free)
        unchecked = [client.push(group, text) for group in range(groups)][-turns:]
        while client.ask("GET", "/metrics")[1].count(b"\npush_time_seconds{") < groups:
            time.sleep(0.1)
        free.process.terminate()
        equal("exit code of the Pushgateway", free.process.wait(), 0)
        checked = Pushgateway(folder=place)
        client = Client(checked)
        scrapes = [client.ask("GET", "/metrics") for _ in range(3)]
        few = turns if groups * count < 200_000 else 5
        pushes = [client.push(group % groups, text) for group in range(few)]
        table.add(
            f"{groups:,}", f"{count:,}", f"{groups * count:,}", span(median(pushes)), span(median(unchecked)),
            span(median([seconds for seconds, _ in scrapes])), size(len(scrapes[0][1])), mebibytes(resident(checked.process.pid)),
        )
        checked.kill()
    table.notes.append(
        f"Debian's prometheus-pushgateway on loopback; what is pushed are the metrics of a batch over 4 strategies, and of one that judged"
        f" those of 128. Medians of {turns} pushes, five where they take so long, and three scrapes. By default each push holds all groups"
        " against one another; with `--push.disable-consistency-check` it does not, and answers before it has taken it."
    )
    return table


def resident(process):
    """Bytes of memory that a process has now."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


CURVES = {
    "strategies": by_strategies, "judged": by_judged_strategies, "evaluations": by_evaluations, "nights": by_nights,
    "batches": by_batches, "shards": by_shards, "groups": by_groups,
}


def run(brief, folder):
    """The tables, by the names of their markers."""
    return {name: curve(brief, folder / name) for name, curve in CURVES.items()}
