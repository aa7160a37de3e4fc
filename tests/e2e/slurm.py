#!/usr/bin/env python3
"""examples/slurm on a real Slurm: an array of four shards against one Pushgateway. A task is killed and queued again, and
the totals are right; a cancelled array is sealed."""

import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path

from clean_root import alone
from lib import BINARY, ROOT, Agent, Pushgateway, equal, holds_to, is_log, read_log, temporary_folder, wait_for
from slurm_cluster import Slurm

alone()
SHARDS = range(4)
# The task that is killed: that with the most strategies, which takes the longest.
VICTIM = 1
SCRIPT = ROOT / "examples/slurm/mutation-agent.sbatch"
CONFIG = """
[batch]
rounds = 50
mutations_per_round = 60
seed = 7
[strategies]
include = ["strategies/*.py"]
"""


def strategies():
    """Three of each example, so that every shard has some."""
    folder = temporary_folder() / "strategies"
    folder.mkdir()
    for source in (ROOT / "examples/strategies").glob("*.py"):
        for number in range(3):
            (folder / f"{source.stem}_{number}.py").write_text(source.read_text())
    return folder


def drawn(records):
    """What was tried, and how often: everything in a record but times and the batch."""
    apart = {"timestamp", "batch_id", "duration_ms"}
    return Counter(json.dumps({key: value for key, value in record.items() if key not in apart}) for record in records)


def batches(shard):
    """The records of each sealed batch of a shard by its status, in their order."""
    folder = agent.folder / f"mutation-data/shard-{shard}/audit"
    logs = sorted((path for path in folder.iterdir() if is_log(path)), key=lambda path: path.name)
    return [(json.loads((folder / f"{log.name.split('.')[0]}.manifest.json").read_text())["status"], read_log(log))
            for log in logs]


def every_record(shard):
    """Of all batches of a shard."""
    return [record for _, records in batches(shard) for record in records]


def agent_of(task):
    """The process of a task's agent."""
    wanted = {f"SLURM_ARRAY_TASK_ID={task}".encode(), f"SLURM_CONF={slurm.conf}".encode()}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            of_task = wanted <= set((process / "environ").read_bytes().split(b"\0"))
            if of_task and (process / "exe").readlink() == BINARY.resolve():
                return int(process.name)
        except OSError:
            # Somebody else's, or it has ended.
            pass
    return None


def has_begun(shard):
    """Whether records of a batch under way are on disk."""
    return any(log.stat().st_size for log in (agent.folder / f"mutation-data/shard-{shard}/audit").glob("*.jsonl.partial"))


def submit(*arguments):
    """An array of the example's script as it stands."""
    job = slurm("sbatch", "--parsable", "--array=0-3", SCRIPT, *arguments, cwd=agent.folder,
                environment={"MUTATION_AGENT": str(BINARY.resolve()), "SHARDS": str(len(SHARDS))})
    return job.strip()


def gateway_holds():
    """Each shard's group shows what is in its folder, and there are no others."""
    shown = gateway.exposition()
    groups = sorted((labels for labels, _ in shown.all("push_time_seconds")), key=lambda labels: labels["shard"])
    # A task may come back on another host: no `instance`, which is how the gateway shows that there is none.
    equal("groups", groups, [{"job": "exit_evolution", "shard": str(shard), "instance": ""} for shard in SHARDS])
    for shard in SHARDS:
        holds_to(shown, every_record(shard), shard=str(shard))
        counts = Counter(status for status, _ in batches(shard))
        found = {labels["status"]: value for labels, value in shown.all("mutation_batches_total", shard=str(shard))}
        equal(f"batches of shard {shard}", {status: value for status, value in found.items() if value}, counts)


def stats():
    """What `stats` says of the folder that all shards share."""
    return json.loads(agent("stats", "--json", agent.folder / "mutation-data").stdout)


gateway = Pushgateway()
slurm = Slurm(cpus=8)
sources = strategies()
agent = Agent(f'{CONFIG}[[gateway]]\nurl = "{gateway.url}"\n', strategies=None)
sources.rename(agent.folder / "strategies")

# A night, with a task that is killed half-way and queued again.
job = submit()
victim = wait_for("the task", lambda: agent_of(VICTIM))
wait_for("records", lambda: has_begun(VICTIM))
os.kill(victim, signal.SIGKILL)
wait_for("the others", lambda: Counter(state for state, _ in slurm.tasks(job).values()) ==
         {"COMPLETED": 3, "FAILED": 1})
equal("the killed task", slurm.tasks(job)[VICTIM], ("FAILED", "0:9"))
slurm("scontrol", "requeue", f"{job}_{VICTIM}")
# It would wait for two minutes. By Slurm's clock, which counts seconds, it must not start in that of its end.
slurm("scontrol", "update", f"JobId={job}_{VICTIM}", "StartTime=now+2seconds")
wait_for("the end", lambda: {state for state, _ in slurm.tasks(job).values()} == {"COMPLETED"})

# One agent for all strategies tries the same.
one = Agent(CONFIG, strategies=None)
shutil.copytree(agent.folder / "strategies", one.folder / "strategies")
one("run")
whole = drawn(one.records())
equal("attempts of a night", whole.total(), 3000)

for shard in SHARDS:
    expected = ["crashed", "completed"] if shard == VICTIM else ["completed"]
    equal(f"batches of shard {shard}", [status for status, _ in batches(shard)], expected)
finished = [record for shard in SHARDS for record in batches(shard)[-1][1]]
equal("what the shards tried together", drawn(finished), whole)
lost = batches(VICTIM)[0][1]
again = batches(VICTIM)[-1][1]
assert 0 < len(lost) < len(again), (len(lost), len(again))
equal("what the killed batch had tried", drawn(lost), drawn(again[: len(lost)]))
equal("stats", stats()["total"], 3000 + len(lost))
gateway_holds()

# Another night, without end and cancelled: each agent itself is told, and seals.
job = submit("--rounds", "1000000")
wait_for("records", lambda: all(has_begun(shard) for shard in SHARDS))
slurm("scancel", job)
wait_for("the end", lambda: {state for state, _ in slurm.tasks(job).values()} == {"CANCELLED"})
for shard in SHARDS:
    wait_for("the seal", lambda shard=shard: batches(shard)[-1][0] == "interrupted")
equal("stats", stats()["total"], sum(len(every_record(shard)) for shard in SHARDS))
gateway_holds()

# With an evaluator the agents alone are told, as the script says: none of what was under way is on record as failed.
(agent.folder / "slow.py").write_text("""
import json, sys, time
for line in sys.stdin:
    time.sleep(0.05)
    print(json.dumps({"id": json.loads(line)["id"], "fitness": 1.0}), flush=True)
""")
toml = agent.folder / "agent.toml"
toml.write_text(toml.read_text() + '[evaluator]\ncommand = ["python3", "slow.py"]\nmode = "stream"\nworkers = 2\n')
job = submit("--rounds", "1000000")
wait_for("records", lambda: all(has_begun(shard) for shard in SHARDS))
slurm("scancel", "--batch", "--signal=TERM", job)
wait_for("the end", lambda: not {state for state, _ in slurm.tasks(job).values()} & {"RUNNING", "PENDING", "COMPLETING"})
for shard in SHARDS:
    wait_for("the seal", lambda shard=shard: batches(shard)[-1][0] == "interrupted")
    outcomes = {record["outcome"] for record in batches(shard)[-1][1]}
    assert not any(outcome.startswith("evaluator") for outcome in outcomes), outcomes
gateway_holds()

print(f"four shards as one: 3000 attempts; a task killed after {len(lost)} and queued again, an array cancelled; gateway, "
      "audits and stats agree")
