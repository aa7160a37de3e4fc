"""Nights with an evaluator, seen from outside: what it was started for, what is on record, what is left of it.

The evaluators are our own. Their fitness is a function of the values in the candidate's text alone, and each start and
each end is a line in a file, so that it can be counted without a word from the agent.
"""

import json
import os
import re
import shutil
from collections import Counter
from pathlib import Path

from lib import Agent, Exposition, equal, read_log, temporary_folder, wait_for

BATCH = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
# What is given to the evaluator, by outcome.
EVALUATED = ("success", "evaluator_failed", "evaluator_timeout", "evaluator_output_invalid")
BASELINE = "exit_mut_000000"
# Nobody listens there: `push` brings the totals up to the audit, and cannot deliver them.
NOWHERE = """
[[gateway]]
url = "http://127.0.0.1:1"
[push]
deadline = "100ms"
"""
STRATEGY = '''"""Two numbers."""
stop_loss_pct = 0.10  # keep this comment
take_profit_pct = 0.25
'''
# The best are 0.03 and 0.4. A power cut that is played leaves the script running, and may take its candidate: it has not
# begun then. MORE is put in after the start was noted; it may end the script.
SH = """
while read -r name _ value _; do
    case $name in
    stop_loss_pct) stop=$value ;;
    take_profit_pct) take=$value ;;
    esac
done <"$1" || exit
echo "start $BATCH_ID $MUTATION_ID $STRATEGY $stop $take $SEED" >>calls.log
MORE
awk -v a="$stop" -v b="$take" 'BEGIN { printf "%.12f\\n", -log(a / 0.03) ^ 2 - log(b / 0.4) ^ 2 + OFFSET }'
echo "end $BATCH_ID $MUTATION_ID $STRATEGY $stop $take $SEED" >>calls.log
"""
PROCESS = ["sh", "judge.sh", "{candidate}"]


class Call:
    """A line that an evaluator has left."""

    def __init__(self, line):
        self.what, self.batch, self.mutation, self.strategy, stop, take, seed = line.split()
        self.values, self.seed = (float(stop), float(take)), int(seed)

    @property
    def is_baseline(self):
        """A source, or a survivor that is judged again."""
        return self.mutation.split("-")[0] == BASELINE


class Nights(Agent):
    """An agent whose candidates are judged. Settings are lines of TOML by section."""

    def __init__(self, command=PROCESS, more="", offset="0", strategies=("a",), **settings):
        self.settings = {
            "batch": "rounds = 3\nmutations_per_round = 10\nseed = 7",
            "evaluator": "workers = 4", "evolution": "", "output": "keep = 0", "audit": "",
        } | settings
        super().__init__("", strategies=None, folder=temporary_folder() / "agent")
        (self.folder / "strategies").mkdir()
        for name in strategies:
            self.source(name).write_text(STRATEGY.replace("Two numbers", f"Two numbers of {name}"))
        self.judged_by(command, more, offset)

    def source(self, name):
        """A strategy's path."""
        return self.folder / f"strategies/{name}.py"

    def judged_by(self, command=PROCESS, more="", offset="0"):
        """Another evaluator from now on."""
        (self.folder / "judge.sh").write_text(SH.replace("MORE", more).replace("OFFSET", offset))
        self.command_line = command
        self.set()

    def set(self, **settings):
        """Other settings from now on."""
        self.settings |= settings
        command = f"command = {json.dumps(self.command_line)}\n"
        text = "".join(
            f"[{name}]\n{command if name == 'evaluator' else ''}{lines}\n" for name, lines in self.settings.items()
        )
        text += '[strategies]\ninclude = ["strategies/*.py"]\n[metrics]\ntextfile = "agent.prom"\n'
        self.configure(text)

    def calls(self, what="start", batch=None):
        """The evaluator's starts, or its ends, but of sources."""
        path = self.folder / "calls.log"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [call for call in map(Call, lines) if call.what == what and batch in (None, call.batch)]
        return [call for call in found if not call.is_baseline]

    def baselines(self, batch=None):
        """The evaluator's starts for what is no attempt."""
        path = self.folder / "calls.log"
        calls = map(Call, path.read_text().splitlines())
        return [call for call in calls if call.what == "start" and call.is_baseline and batch in (None, call.batch)]

    def wait_for_starts(self, number, process):
        """Until the evaluator was started so often in all, or the process has ended."""
        path = self.folder / "calls.log"

        def enough():
            return process.poll() is not None or (path.exists() and path.read_text().count("start ") >= number)

        wait_for(f"{number} evaluations", enough)

    def state(self):
        """state.json."""
        return json.loads((self.folder / "mutation-data/state.json").read_text())

    def searches(self):
        """By strategy: the searches of the last batch that used each."""
        found = {}
        for search in sorted(self.state().get("searches", []), key=lambda search: search["batch"]):
            found[search["name"]] = search
        return found

    def best(self, name="a"):
        """The fitness of a strategy's best."""
        return self.searches()[f"strategies/{name}.py"]["population"][0]["fitness"]

    def newest(self):
        """The last batch's manifest and records."""
        log = self.batches()[-1]
        return self.manifest(log), read_log(log)

    def open_records(self):
        """The whole lines of the log that is open."""
        text = b"".join(path.read_bytes() for path in self.audit.glob("*.partial"))
        return [json.loads(line) for line in text[:text.rfind(b"\n") + 1].splitlines()]

    def shown(self):
        """The textfile."""
        return Exposition((self.folder / "agent.prom").read_text())

    def without_names(self, thing):
        """JSON of it in which each batch's id is its rank."""
        ranks = {log.name.split(".")[0]: f"batch {rank}" for rank, log in enumerate(self.batches())}
        return BATCH.sub(lambda found: ranks[found[0]], json.dumps(thing, sort_keys=True))

    def alive(self):
        """Processes that are the evaluator's: by what it was told, or by where it runs."""
        ids = {found[0] for path in self.audit.glob("*") if (found := BATCH.search(path.name))}
        marks = [f"BATCH_ID={batch}".encode() for batch in ids]
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                environment = (process / "environ").read_bytes()
                is_here = os.readlink(process / "cwd").startswith(str(self.folder))
            except OSError:
                continue
            if is_here or any(mark in environment for mark in marks):
                found.append((process.name, (process / "cmdline").read_bytes() if process.exists() else b""))
        return found

    def is_calm(self):
        """Nothing of an evaluator is left: no process and no file."""
        equal("processes of the evaluator", self.alive(), [])
        equal("candidates left", [str(path) for path in (self.folder / "mutation-data/evaluating").rglob("*")], [])

    def recover(self, folder=None):
        """A start that does nothing but to bring the state up to the audit."""
        config = (self.folder / "agent.toml").read_text()
        there = Agent(config + NOWHERE, strategies=None, folder=folder or self.folder)
        there("push", exits=75)
        there.configure(config)

    def rebuilt(self):
        """What a start makes of the audit alone: the searches of a copy without its state."""
        other = temporary_folder() / "agent"
        shutil.copytree(self.folder, other, symlinks=True)
        (other / "mutation-data/state.json").unlink()
        self.recover(other)
        return json.loads((other / "mutation-data/state.json").read_text()).get("searches", [])

    def holds(self):
        """All that must be true between two nights, whatever has happened."""
        self("replay")
        records = self.records()
        keys = Counter((record["batch_id"], record["mutation_id"]) for record in records)
        equal("records that are there twice", [key for key, count in keys.items() if count > 1], [])
        shown = self.shown()
        equal("attempts", shown.value("exit_mutations_total"), len(records))
        equal("successes", shown.value("exit_mutations_success"), sum(record["success"] for record in records))
        outcomes = Counter()
        for labels, value in shown.all("exit_mutation_outcomes_total"):
            outcomes[labels["outcome"]] += value
        expected = Counter(record["outcome"] for record in records)
        equal("outcomes", +outcomes, expected)
        judged = [record for record in records if record["outcome"] in EVALUATED]
        equal("evaluations", shown.value("exit_mutation_evaluation_duration_seconds_count"), len(judged))
        for record in records:
            equal(f"fitness of {record}", record["fitness"] is not None, record["success"])
            equal(f"evaluation of {record}", record["evaluation_ms"] is not None, record["outcome"] in EVALUATED)
        statuses = Counter(self.manifest(log)["status"] for log in self.batches())
        for labels, value in shown.all("mutation_batches_total"):
            equal(f"batches {labels['status']}", value, statuses[labels["status"]])
        equal("searches of the audit alone", self.rebuilt(), self.state().get("searches", []))
        self.is_calm()
        self("audit", "verify")


def shape(record):
    """A record without its times and its batch's id."""
    return {
        name: value for name, value in record.items()
        if name not in ("timestamp", "batch_id", "duration_ms", "evaluation_ms")
    }
