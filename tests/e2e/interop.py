#!/usr/bin/env python3
"""Other programs read the audit: every example of docs/AUDIT.md as it stands, and a log that is followed while it grows.

The folder has a batch of each kind: packed, plain and open, without and with an evaluator, with variants, with attempts
that change several parameters, with errors in several lines. What the programs count is what `stats` and an independent
reading say.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter

from lib import ENVIRONMENT, ROOT, Agent, atexit, equal, end, read_log, temporary_folder, wait_for

PAGE = (ROOT / "docs/AUDIT.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PLAIN = """
[strategies]
include = ["examples/strategies/*.py"]
[batch]
rounds = 3
mutations_per_round = 40
"""
EVALUATED = PLAIN + """
[evolution]
parameters_per_mutation = 2
[evaluator]
command = ["sh", "judge.sh", "{candidate}"]
workers = 2
[[variant]]
name = "usual"
[[variant]]
name = "wide"
operator = "lognormal"
sigma = 0.4
"""
# A fitness from the candidate's bytes; for some of them an error of two lines, the first too long to be kept whole.
JUDGE = r"""
read sum rest <<END
$(cksum <"$1")
END
if [ $((sum % 4)) = 3 ]; then
    printf '%02000d\n止损 "too" low\n' 0 >&2
    exit 3
fi
echo $((sum % 1000)).5
"""


class House(Agent):
    """An agent whose folder has an evaluator in it."""

    def __init__(self, config):
        super().__init__(config)
        (self.folder / "judge.sh").write_text(JUDGE)

    def logs(self):
        """Every log, open ones too."""
        return [*self.batches(), *sorted(self.audit.glob("*.partial"))]

    def all_records(self):
        """What stands in them."""
        return [record for log in self.logs() for record in read_log(log)]

    def open_batch(self, at_least):
        """A batch under way that is held once it has written something."""
        process = self.start("run", "--rounds", 100000)
        atexit.register(process.send_signal, signal.SIGCONT)
        wait_for("some records", lambda: any(
            path.read_bytes().count(b"\n") >= at_least for path in self.audit.glob("*.partial")
        ))
        process.send_signal(signal.SIGSTOP)
        wait_for("it to be held", lambda: "State:\tT" in open(f"/proc/{process.pid}/status", encoding="ascii").read())
        return process


def printed(command, house, text=None):
    """What a program prints in the folder of an agent."""
    done = subprocess.run(command, cwd=house.folder, env=ENVIRONMENT, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def lines_of_json(text):
    """An object or list for each line."""
    return [json.loads(line) for line in text.splitlines()]


def counts(text):
    """What `uniq -c` prints: how often by what."""
    return {line.split(maxsplit=1)[1]: int(line.split()[0]) for line in text.splitlines()}


# What each example must say, by its first line. Each is given what was printed and the records.

EXAMPLES = {}


def example(first):
    """Registers what becomes of an example."""
    return lambda check: EXAMPLES.setdefault(first, check)


@example("# attempts by outcome, over all batches")
def _(text, records):
    equal("outcomes", counts(text), Counter(record["outcome"] for record in records))


@example("# the newest batch as a table")
def _(text, records):
    newest = max(record["batch_id"] for record in records if record["sealed"])
    rows = [[record["mutation_id"], record["strategy"], record["parameter"]] for record in records if record["batch_id"] == newest]
    equal("the newest batch", [line.split("\t")[:3] for line in text.splitlines()], rows)


@example("# attempts, success rate and range of the new values by parameter")
def _(text, records):
    rows = lines_of_json(text)
    equal("parameters", len(rows), len({record["parameter"] for record in records}))
    for row in rows:
        these = [record for record in records if record["parameter"] == row["parameter"]]
        values = [record["new_value"] for record in these]
        rate = sum(record["success"] for record in these) / len(these)
        assert abs(row.pop("success_rate") - rate) < 1e-9, row
        equal(row["parameter"], row, {
            "parameter": row["parameter"], "attempts": len(these), "lowest": min(values), "highest": max(values)})


def proposed(records):
    """How many values were proposed, and how many of them clamped, by parameter."""
    values = [value for record in records for value in [record, *record.get("also", [])]]
    return sorted([
        name, sum(value["parameter"] == name for value in values),
        sum(value["parameter"] == name and value["clamped"] for value in values),
    ] for name in {value["parameter"] for value in values})


@example("# share of the proposed values that left their bounds, by parameter; an attempt that changes several counts for each")
def _(text, records):
    equal("clamped", [[row["parameter"], row["values"], row["clamped"]] for row in lines_of_json(text)], proposed(records))


@example("# errors by their last line, the most frequent first")
def _(text, records):
    errors = [record for record in records if record["error"]]
    assert len(errors) > 10 and any("止损" in record["error"] for record in errors), len(errors)
    rows = counts(text)
    equal("errors", sum(rows.values()), len(errors))
    # A newline is escaped in a record, and what stands before the last one is not of the kind.
    assert rows.keys() & {'evaluator_failed\t止损 "too" low'}, rows
    equal("kinds", len(rows), len({(record["outcome"], record["error"].split("\\n")[-1]) for record in errors}))


@example("# the best three evaluations that there ever were (sort_by(.fitness)[:3] where less is better)")
def _(text, records):
    best = sorted((record["fitness"] for record in records if record["success"] and record["fitness"]), reverse=True)
    equal("the best", [row[0] for row in lines_of_json(text)], best[:3])


@example("# how the batches ended; one that is `running` is under way, or was killed")
def _(text, records):
    rows = {row[0]: row[1:3] for row in (line.split("\t") for line in text.splitlines())}
    expected = {}
    for batch in {record["batch_id"] for record in records}:
        these = [record for record in records if record["batch_id"] == batch]
        expected[batch] = ["completed", str(len(these))] if these[0]["sealed"] else ["running", "0"]
    equal("ends", rows, expected)


@example("SELECT parameter, outcome, count(*) AS attempts, median(duration_ms) AS milliseconds")
def _(rows, records):
    counted = Counter((record["parameter"], record["outcome"]) for record in records)
    equal("DuckDB, outcomes", {(row[0], row[1]): row[2] for row in rows}, counted)


@example("-- the candidates' fitness night by night")
def _(rows, records):
    evaluated = [record for record in records if record["fitness"] is not None]
    equal("DuckDB, evaluated", sum(row[2] for row in rows), len(evaluated))
    equal("DuckDB, best", max(row[3] or 0 for row in rows), max(record["fitness"] for record in evaluated))


@example("-- every changed value in a row of its own, and each attempt once although a log may be there packed and plain")
def _(rows, records):
    equal("DuckDB, values", rows, proposed(records))


@example("import glob, pandas")
def _(text, records):
    rows = [line.split() for line in text.splitlines() if re.fullmatch(r"\w+ +\d+", line)]
    equal("pandas", {name: int(count) for name, count in rows}, Counter(record["outcome"] for record in records))


@example("import glob, polars")
def _(text, records):
    rows = re.findall(r"│ (\w+) +┆ (\d+)", text)
    equal("polars", {name: int(count) for name, count in rows}, Counter(record["outcome"] for record in records))


DUCKDB = "import duckdb, json, sys; print(json.dumps(duckdb.sql(sys.stdin.read()).fetchall()))"


def every_example():
    """Each is run as it stands, over packed, plain and open logs."""
    house = House(PLAIN)
    house("run")
    house.configure(EVALUATED)
    house("run")
    house("run")
    held = house.open_batch(at_least=25)
    equal("kinds of logs", [log.suffix for log in house.logs()], [".zst", ".zst", ".jsonl", ".partial"])
    records = house.all_records()
    for record in records:
        record["sealed"] = not (house.audit / f"{record['batch_id']}.jsonl.partial").exists()
    assert any("also" in record for record in records) and any("also" not in record for record in records)
    figures = json.loads(house("stats", "--json").stdout)
    equal("stats", (figures["total"], figures["successes"]), (len(records), sum(record["success"] for record in records)))

    ran = 0
    for language, text in BLOCKS:
        first = text.splitlines()[0]
        if language == "json":
            is_a_record(json.loads(text), records)
        elif first == FOLLOWED or language == "rsyslog":
            continue
        elif language == "sh":
            EXAMPLES.pop(first)(printed(["bash", "-euo", "pipefail", "-c", text], house), records)
        elif language == "sql":
            EXAMPLES.pop(first)(json.loads(printed([sys.executable, "-c", DUCKDB], house, text)), records)
        else:
            equal("language", language, "python")
            EXAMPLES.pop(first)(printed([sys.executable, "-c", text], house), records)
        ran += 1
    equal("examples that there are not", list(EXAMPLES), [])
    packed_and_plain_at_once(house, records)
    return house, held, ran


def is_a_record(shown, records):
    """The page's record has the fields of a real one, in their order."""
    real = next(record for record in records if "also" in record)
    equal("fields", list(shown), [field for field in real if field != "sealed"])
    equal("fields of `also`", list(shown["also"][0]), list(real["also"][0]))


def packed_and_plain_at_once(house, records):
    """A kill while a log is packed leaves it twice; the query that says so counts each attempt once."""
    packed = house.batches()[0]
    plain = packed.with_suffix("")
    subprocess.run(["zstd", "-dq", packed, "-o", plain], check=True)
    query = next(text for _, text in BLOCKS if "DISTINCT ON" in text)
    equal("each once", json.loads(printed([sys.executable, "-c", DUCKDB], house, query)), proposed(records))
    plain.unlink()


# Following.

FOLLOWED = "# a batch that is under way, as it goes"


def is_followed_as_the_page_says(house, held):
    """`tail` begins in the middle of a batch, and shows every line of it, through the seal."""
    command = next(text for _, text in BLOCKS if text.startswith(FOLLOWED))
    shown = temporary_folder() / "shown"
    with shown.open("w") as out:
        tail = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", command], cwd=house.folder, env=ENVIRONMENT, stdout=out, process_group=0
        )
    atexit.register(lambda: tail.poll() is None and os.killpg(tail.pid, signal.SIGKILL))
    wait_for("what stands in it", shown.read_text)
    held.send_signal(signal.SIGCONT)
    held.terminate()
    equal("the batch's end", held.wait(), 143)
    newest = read_log(house.batches()[-1])
    wait_for("the rest", lambda: shown.read_text().count("\n") >= len(newest))
    os.killpg(tail.pid, signal.SIGKILL)
    tail.wait()
    equal("shown", [line.split("\t")[0] for line in shown.read_text().splitlines()], [record["mutation_id"] for record in newest])


def ends_of_writes(folder):
    """Each write to the log begins and ends with a line, and is of several."""
    trace = folder / "trace"
    house = House(PLAIN)
    house("run", before=["strace", "-f", "-y", "-e", "trace=write", "-s", "1000000", "-o", trace])
    writes = [line for line in trace.read_text().splitlines() if ".jsonl.partial>" in line]
    assert len(writes) >= 12, f"only {len(writes)} writes"
    for line in writes:
        assert re.search(r'>, "\{\\"timestamp\\".*\}\\n", \d+\) += \d+$', line), f"a write of something else: {line[:200]}"
    return len(writes)


def each_read_ends_with_a_line_or_a_page():
    """Read as fast as can be: what the kernel shows of a write that is under way ends with a page, and nothing else is torn."""
    house = House(PLAIN)
    process = house.start("run", "--rounds", 150)
    path = wait_for("the log", lambda: next(iter(house.audit.glob("*.partial")), None))
    pages, page, taken, reads = 0, os.sysconf("SC_PAGE_SIZE"), b"", 0
    with path.open("rb", buffering=0) as log:
        while True:
            ended = process.poll() is not None
            some = log.read(1 << 20)
            taken += some
            if some:
                reads += 1
                at_page = len(taken) % page == 0
                assert some.endswith(b"\n") or at_page, f"a read ends within a line, at byte {len(taken)}: {some[-80:]}"
                pages += not some.endswith(b"\n")
            elif ended:
                break
    equal("exit code", process.returncode, 0)
    equal("what was followed through the seal", taken, house.batches()[-1].read_bytes())
    assert reads > 5, f"only {reads} reads"
    return reads


class Rsyslog:
    """A real one with the page's configuration, other folders, and one of the page's two patterns."""

    def __init__(self, audit, pattern):
        self.folder = temporary_folder()
        text = next(text for language, text in BLOCKS if language == "rsyslog")
        assert f"`{pattern}`" in PAGE, f"the page says nothing of {pattern}"
        for named, here in (
            ("/var/spool/rsyslog", self.folder), ("/var/log/mutations.jsonl", self.out),
            ("/var/lib/mutation-agent/audit/*-*.jsonl", audit / pattern),
        ):
            assert named in text, f"{named} is not in the page's configuration"
            text = text.replace(named, str(here))
        (self.folder / "rsyslog.conf").write_text(text)
        self.start()

    @property
    def out(self):
        """Where the lines go."""
        return self.folder / "out.jsonl"

    def start(self):
        """In the foreground, and going on from where it was."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                ["rsyslogd", "-n", "-f", self.folder / "rsyslog.conf", "-i", self.folder / "pid"],
                stdout=log, stderr=log, env=ENVIRONMENT | {"PATH": f"{ENVIRONMENT['PATH']}:/usr/sbin"},
            )
        atexit.register(end, self.process)

    def stop(self):
        """As a service is stopped."""
        self.process.terminate()
        equal("rsyslog's end", self.process.wait(timeout=30), 0)

    def lines(self):
        """What has arrived."""
        return self.out.read_bytes().splitlines(keepends=True) if self.out.exists() else []


def rsyslog_has_each_line_once():
    """Two at once, one for each way: through seals and packing, a kill with its recovery, long lines, and a restart."""
    house = House(EVALUATED)
    house.audit.mkdir(mode=0o700, parents=True)
    house.audit.parent.chmod(0o700)
    sealed, live = (Rsyslog(house.audit, pattern) for pattern in ("*-*.jsonl", "*.jsonl.partial"))

    def run(*arguments):
        house("run", *arguments)
        wait_for("a batch that is sealed", lambda: len(sealed.lines()) >= len(house.records()))

    run()
    house.configure(PLAIN)
    run()
    held = house.open_batch(at_least=200)
    wait_for("the lines of a batch under way", lambda: len(live.lines()) >= len(house.all_records()))
    held.kill()
    held.wait()
    run("--rounds", 60)
    wait_for("all lines, as they are written", lambda: len(live.lines()) >= len(house.records()))
    # One goes by while both are away.
    for one in (sealed, live):
        one.stop()
    house("run")
    missed = set(whole_lines(house.batches()[-1]))
    for one in (sealed, live):
        one.start()
    wait_for("what it has missed", lambda: len(sealed.lines()) >= len(house.records()))
    run()
    wait_for("the last batch", lambda: len(live.lines()) >= len(house.records()) - len(missed))
    for one in (sealed, live):
        one.stop()
    equal("statuses", Counter(house.manifest(log)["status"] for log in house.batches()), {"completed": 5, "crashed": 1})
    written = [line for log in house.batches() for line in whole_lines(log)]
    assert max(map(len, written)) > 1400, "no long line"
    equal("sealed: each line once, byte for byte", sorted(sealed.lines()) == sorted(written), True)
    equal("live: each line once, byte for byte", sorted(live.lines()) == sorted(line for line in written if line not in missed), True)
    return len(written)


def whole_lines(log):
    """A log's lines as they stand."""
    text = log.read_bytes()
    if log.suffix == ".zst":
        text = subprocess.run(["zstd", "-dcq", log], capture_output=True, check=True).stdout
    return text.splitlines(keepends=True)


def main():
    """All of it."""
    house, held, ran = every_example()
    is_followed_as_the_page_says(house, held)
    writes = ends_of_writes(temporary_folder())
    reads = each_read_ends_with_a_line_or_a_page()
    lines = rsyslog_has_each_line_once()
    print(f"{ran} examples as they stand; {writes} writes of whole lines, {reads} reads; rsyslog has each of {lines} lines once, both ways")


if __name__ == "__main__":
    main()
