"""An old logger's file read without the agent: what its audit must hold of it, by Python's own json and zoneinfo."""

import json
import math
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import zip_longest
from pathlib import Path
from zoneinfo import ZoneInfo

from lib import ENVIRONMENT, Agent, close, config, equal, read_log, seconds, temporary_folder

PUSH = 'retry = { initial = "10ms", max = "100ms", multiplier = 2.0 }\ndeadline = "5s"'
RECORD = (
    '{"timestamp": "2026-11-20T05:00:00", "parameter": "stop_loss_pct", "old_value": 0.1, "new_value": 0.12, '
    '"clamped": false, "success": true, "validation_passed": true, "error": null, "mutation_id": "exit_mut_000001"}\n'
)
LOGGER = Path(__file__).with_name("old_logger.py")
LONGEST_ERROR = 4096
JITTER = timedelta(minutes=5)
UTC = timezone.utc


def logger(log, seed, count, *options, before=()):
    """The old program, left running."""
    command = [*before, sys.executable, LOGGER, log, seed, count, *options]
    return subprocess.Popen([str(part) for part in command], env=ENVIRONMENT | {"TZ": "UTC"})


def log_at_once(log, seeds, count, *options):
    """Several of them write into one file; waits for all."""
    processes = [logger(log, seed, count, *options) for seed in seeds]
    equal("how the loggers ended", {process.wait() for process in processes}, {-9 if "--dies" in options else 0})


class OldLog:
    """The records of a file with the line of each, in order, and how much is left out of it, by reason."""

    def __init__(self, path, zone="UTC", text=None):
        self.zone, self.before, self.records, self.left_out = ZoneInfo(zone), None, [], Counter()
        lines = (path.read_bytes() if text is None else text).split(b"\n")
        for number, line in enumerate(lines, 1):
            self.read(line, number, last=number == len(lines))

    def read(self, line, number, last):
        """A line; the last one has no end, and may be gone on with."""
        if not line.strip():
            return
        for found in pieces(line):
            reason = found if isinstance(found, str) else missing(found)
            if reason is None:
                self.before = found["utc"] = self.utc(found["timestamp"])
                self.records.append((number, found))
            elif not last:
                self.left_out[reason] += 1

    def utc(self, stamp):
        """The instant; of the hour that comes twice the earlier, unless it is well before the record before it."""
        if isinstance(stamp, (int, float)):
            return datetime.fromtimestamp(stamp, UTC)
        moment = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
        if moment.tzinfo:
            return moment.astimezone(UTC)
        earlier, later = (moment.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return later if self.before and earlier < later and earlier < self.before - JITTER else earlier


def pieces(line):
    """The objects that a line is made of, and "torn" for what is left of others; or that it is no JSON at all."""
    try:
        return [json.loads(line)]
    except ValueError:
        pass
    text, found, at, torn = line.decode(errors="surrogateescape").strip(), [], 0, False
    while 0 <= at < len(text):
        try:
            one, end = json.JSONDecoder().raw_decode(text, at)
            if torn and missing(one) or not isinstance(one, dict):
                raise ValueError
            found += ["torn", one] if torn else [one]
            at, torn = end + len(text[end:]) - len(text[end:].lstrip()), False
        except ValueError:
            torn, at = True, text.find("{", at + 1)
    if torn:
        found.append("torn" if found or text.startswith("{") else "not_json")
    return found


def missing(found):
    """Why it is no record, if it is none."""
    if not isinstance(found, dict):
        return "not_json"
    if not isinstance(found.get("parameter"), str):
        return "no_parameter"
    if not isinstance(found.get("success"), bool):
        return "no_success"
    return None if usable(found.get("timestamp")) else "no_timestamp"


def usable(stamp):
    """Whether it is a time."""
    try:
        return isinstance(stamp, (int, float)) and math.isfinite(stamp) or bool(
            datetime.fromisoformat(stamp.replace("Z", "+00:00")))
    except (AttributeError, ValueError):
        return False


def number(value):
    """As JSON has it: null for what is none."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def outcome(old):
    """What became of an attempt, by what the old program said."""
    valid = old.get("validation_passed", True)
    if old["success"]:
        return "success" if valid else "invalid_source"
    if old.get("new_value") is None or old.get("new_value") == old.get("old_value"):
        return "no_change"
    return "failed" if old.get("validation_passed") is True else "invalid_source"


def expected(old, strategy, line):
    """The audit's record but for its batch and its id; its error may say more."""
    said = outcome(old)
    return {
        "timestamp": old["utc"].strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "round": 1, "strategy": strategy, "line": line,
        "parameter": old["parameter"], "operator": "compat-gaussian", "variant": None, "parent": None,
        "old_value": number(old.get("old_value")), "new_value": number(old.get("new_value")),
        "clamped": old.get("clamped", False), "outcome": said, "success": said == "success",
        "validation_passed": said in ("success", "failed"), "fitness": None, "evaluation_ms": None,
    }


def same(found, old, strategy, line):
    """A record of the audit is what the old log says, field by field."""
    where = f"{strategy}:{line}"
    for name, value in expected(old, strategy, line).items():
        equal(f"{name} of {where}", (found[name], type(found[name])), (value, type(value)))
    duration = old.get("duration_ms")
    if duration is None:
        equal(f"duration_ms of {where}", found["duration_ms"], None)
    else:
        assert abs(found["duration_ms"] - duration) <= 1e-6, f"duration_ms of {where}: {found}, {duration}"
    said, error = old.get("error"), found["error"]
    assert error is None or len(error.encode()) <= LONGEST_ERROR, f"error of {where} has {len(error)} characters"
    if said and old["success"] == found["success"]:
        readable = said.encode(errors="replace").decode()[:1000]
        assert error and error[:len(readable)].replace("\ufffd", "?") == readable, f"error of {where}: {error!r}"


def audit_is(agent, taken):
    """The audit holds these records of each log in their order, and nothing else; `taken`: by the log's name."""
    found = {}
    for one in agent.records():
        found.setdefault(one["strategy"], []).append(one)
    equal("the logs", sorted(found), sorted(name for name, records in taken.items() if records))
    for name, records in taken.items():
        lines = [one["line"] for one in found.get(name, [])], [line for line, _ in records]
        at = next((at for at, (ours, theirs) in enumerate(zip_longest(*lines)) if ours != theirs), None)
        assert at is None, f"lines of {name}: found {lines[0][at:][:9]} …, expected {lines[1][at:][:9]} …"
        for one, (line, old) in zip(found.get(name, []), records):
            same(one, old, name, line)


def shown_is(shown, olds, **labels):
    """What a gateway shows is what the old records say, counted here."""
    outcomes = Counter((old["parameter"], outcome(old)) for old in olds)
    total = {"exit_mutations_total": len(olds), "mutation_audit_records_total": len(olds),
             "exit_mutations_success": sum(count for (_, said), count in outcomes.items() if said == "success")}
    for name, count in total.items():
        equal(name, shown.value(name, **labels), count)
    found = {(series["parameter"], series["outcome"]): value
             for series, value in shown.all("exit_mutation_outcomes_total", operator="compat-gaussian", **labels)}
    equal("exit_mutation_outcomes_total", {key: value for key, value in found.items() if value}, outcomes)
    clamped = Counter(old["parameter"] for old in olds if old.get("clamped"))
    for series, value in shown.all("exit_mutations_clamped_total", **labels):
        equal(f"clamped {series['parameter']}", value, clamped[series["parameter"]])
    times = [seconds(old) for old in olds if old.get("duration_ms") is not None]
    name = "exit_mutation_duration_seconds"
    equal(f"{name}_count", shown.value(f"{name}_count", **labels), len(times))
    close(f"{name}_sum", shown.value(f"{name}_sum", **labels), sum(times), 1e-9)
    for series, value in shown.all(f"{name}_bucket", **labels):
        equal(f"{name}_bucket {series['le']}", value, sum(one <= float(series["le"]) for one in times))
    newest = max(old["utc"] for old in olds if outcome(old) == "success").timestamp()
    found = shown.value("mutation_batch_last_success_timestamp_seconds", **labels)
    assert abs(found - newest) < 0.001, f"last success: {found}, the log's is at {newest}"
    equal("in progress", shown.value("mutation_batch_in_progress", **labels), 0)


def stats_are(agent, olds):
    """`stats` says what the formulas give over the old records."""
    found = json.loads(agent("stats", "--json").stdout)
    times = sorted(seconds(old) for old in olds if old.get("duration_ms") is not None)
    said = Counter(outcome(old) for old in olds)
    for name, value in {"total": len(olds), "successes": said["success"], "failures": len(olds) - said["success"],
                        "success_rate": said["success"] / len(olds), "total_duration_samples": len(times),
                        "avg_duration_seconds": sum(times) / len(times)}.items():
        close(name, found[name], value, 1e-9)
    equal("outcomes", found["outcomes"], dict(said))
    equal("clamped", found.get("clamped", 0), sum(old.get("clamped", False) for old in olds))
    spread = found["duration_statistics"]
    equal("least and greatest", (spread["min"], spread["max"]), (times[0], times[-1]))
    for share in (50, 95, 99):
        close(f"p{share}", spread[f"p{share}"], times[math.ceil(share / 100 * len(times)) - 1], 0.002)


def is_parsed_by_promtool(text):
    """promtool reads what the gateway shows; of the name that was given it may complain."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    equal("what promtool says", [line for line in said if not line.startswith("exit_mutations_success ")], [])


def scratch(name="app.log"):
    """A log that is not there yet, in a folder of its own."""
    return temporary_folder() / name


class House(Agent):
    """An agent with a group of its own, and the records that it has taken of each log, by the name it was given."""

    def __init__(self, gateway, instance, more=""):
        super().__init__(config(getattr(gateway, "url", gateway), more=f"{PUSH}\n{more}", instance=instance))
        self.gateway, self.instance, self.taken = gateway, instance, {}

    def ingest(self, *files, exits=0, before=()):
        """Runs the command; what it said on standard output, line by line."""
        return self("ingest", *files, exits=exits, before=before).stdout.splitlines()

    def took(self, name, records):
        """These were taken under this name."""
        self.taken.setdefault(str(name), []).extend(records)

    def agrees(self):
        """Audit, gateway, `stats` and `audit verify` say what was taken of the logs."""
        olds = [old for records in self.taken.values() for _, old in records]
        audit_is(self, self.taken)
        shown = self.gateway.exposition()
        shown_is(shown, olds, instance=self.instance)
        stats_are(self, olds)
        is_parsed_by_promtool(shown.ours())
        self("audit", "verify", "--gateway")
        equal("open journals", list(self.audit.glob("*.partial")), [])

    def on_disk(self):
        """The records of all logs, and what is whole in open journals."""
        found = []
        for path in sorted(self.audit.glob("[!.]*-*.jsonl*")):
            if path.suffix == ".partial":
                text = path.read_bytes()
                found += [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]
            elif path.suffix != ".broken":
                found += read_log(path)
        return found

    def listing(self):
        """Names and bytes of all that is kept, but for the lock."""
        found = sorted(path for path in (self.folder / "mutation-data").rglob("*") if path.name != "lock")
        return {path: path.read_bytes() if path.is_file() else None for path in found}

    def refuses(self, code, *arguments, words=()):
        """The command ends so, says these words and writes nothing."""
        before, shown = self.listing(), self.gateway.exposition().ours()
        done = self("ingest", *arguments, exits=code)
        for word in words:
            assert str(word) in done.stdout + done.stderr, f"{word!r} is not in {done.stdout}{done.stderr}"
        equal(f"what is kept after {arguments}", self.listing(), before)
        equal(f"what is shown after {arguments}", self.gateway.exposition().ours(), shown)
        return done.stdout.splitlines()
