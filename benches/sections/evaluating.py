"""What an evaluation costs besides the evaluator, and that many of them leave nothing behind."""

import os
import subprocess
import time
from pathlib import Path

import strategies
from measuring import ENVIRONMENT, Agent, Table, built, config, equal, median, span, starts, took

TITLE = "Evaluation"


def agent_with(evaluator, folder, mode, workers):
    """An agent that judges by it; what was tried may be tried again, so that each attempt is one evaluation."""
    words = [str(evaluator), "--stream"] if mode == "stream" else [str(evaluator), "{candidate}"]
    more = f"""
        [evaluator]
        command = {words!r}
        mode = "{mode}"
        workers = {workers}
        [evolution]
        memory = 0
    """
    agent = Agent(config(more=more), folder)
    strategies.write(agent.folder / "strategies", 153)
    return agent


def evaluations(agent):
    """How many of the newest batch's attempts were evaluated: all but the few that came to the same value again."""
    records = agent.manifest()["records"]
    tally = agent.manifest()["tally"]
    evaluated = sum(tally["evaluation_histogram"]["counts"])
    assert evaluated > 0.9 * records, f"{evaluated} of {records} were evaluated"
    equal("evaluations that came to nothing", tally["attempts"] - tally["successes"], records - evaluated)
    return evaluated


def cost(agent, count):
    """Seconds of an evaluation: what a batch takes with so many more of them, by how many they are."""
    few = max(1, count // 10)
    walls, evaluated = [], []
    for mutations in (few, count):
        agent.forget()
        walls.append(took(agent.command("run", "--rounds", 1, "--mutations", mutations), cwd="/").wall)
        evaluated.append(evaluations(agent))
    return (walls[1] - walls[0]) / (evaluated[1] - evaluated[0])


def by_subprocess(evaluator, count):
    """The same of Python's `subprocess.run`."""
    began = time.perf_counter()
    for _ in range(count):
        done = subprocess.run([evaluator], capture_output=True, text=True, check=True)
        equal("answer", float(done.stdout), 1.5)
    return (time.perf_counter() - began) / count


def compare(table, brief, folder, evaluator):
    """A row for each mode, with one worker."""
    turns = 1 if brief else 3
    process = agent_with(evaluator, folder / "process", "process", 1)
    stream = agent_with(evaluator, folder / "stream", "stream", 1)
    count, many = (50, 200) if brief else (2_000, 10_000)
    found = {"process": [], "bare process": [], "python": [], "stream": [], "bare stream": []}
    for _ in range(turns):
        found["bare process"].append(median([one.wall for one in starts(count, [evaluator])]))
        found["process"].append(cost(process, count))
        found["python"].append(by_subprocess(evaluator, count // 4))
        said = subprocess.run([evaluator, "--bare", str(many)], capture_output=True, text=True, check=True)
        found["bare stream"].append(int(said.stdout) / 1e9)
        found["stream"].append(cost(stream, many))
    at = {name: median(seconds) for name, seconds in found.items()}
    above = lambda name: median([one - bare for one, bare in zip(found[name], found[f"bare {name}"])])
    for name, bare in (("process", "vfork, exec, wait"), ("stream", "a line and its answer, by pipes")):
        signed = above(name)
        table.add(f"`mode = \"{name}\"`", span(at[name]), f"{bare}: {span(at[f'bare {name}'])}",
                  span(signed) if signed > 0 else f"-{span(-signed)}")
    table.add("Python, `subprocess.run`", span(at["python"]), "", span(at["python"] - at["bare process"]))
    table.notes.append(
        f"One worker; medians of {turns} turns of {count:,} evaluations ({many:,} in stream mode) by an evaluator in C"
        " that answers at once. Ours has proposing, the candidate's file, the record on disk and the search in it."
    )


class Watched:
    """What a batch and its hosts hold, seen from outside as it goes."""

    def __init__(self):
        self.samples = []

    def look(self, process):
        """Takes a sample of the process and of all that descend from it."""
        family, zombies, hosts = [process], 0, 0
        for pid in family:
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    family += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue
        resident = descriptors = 0
        for pid in family:
            try:
                status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                held = len(os.listdir(f"/proc/{pid}/fd"))
            except (OSError, ValueError):
                continue
            if status["State"].startswith("Z"):
                zombies += 1
            elif status["Name"] != "evaluator":
                hosts += 1
                resident += int(status.get("VmRSS", "0 kB").split()[0]) * 1024
                descriptors += held
        self.samples.append((hosts, resident, descriptors, zombies))

    def quarter(self, which):
        """The medians of the first (0) to the last (3) quarter of the samples in which all hosts were there."""
        all_there = max(hosts for hosts, *_ in self.samples)
        samples = [sample[1:] for sample in self.samples if sample[0] == all_there]
        size = max(1, len(samples) // 4)
        part = samples[which * size:(which + 1) * size] or samples[-1:]
        return [median([sample[at] for sample in part]) for at in range(3)]


def endure(table, brief, folder, evaluator):
    """Very many evaluations; nothing may grow."""
    rounds, mutations, workers = (4, 100, 8) if brief else (100, 1_000, 64)
    agent = agent_with(evaluator, folder / "many", "process", workers)
    process = subprocess.Popen(
        agent.command("run", "--rounds", rounds, "--mutations", mutations),
        env=ENVIRONMENT, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    watched, began = Watched(), time.perf_counter()
    while process.poll() is None:
        watched.look(process.pid)
        time.sleep(0.02 if brief else 0.5)
    seconds = time.perf_counter() - began
    equal("exit code", process.returncode, 0)
    count = evaluations(agent)
    early, late = watched.quarter(0), watched.quarter(3)
    # In a second of a brief run the hosts still come to know their pages.
    most = 1.5 if brief else 1.05
    assert late[0] < most * early[0], f"memory grew from {early[0]} to {late[0]} bytes"
    assert late[1] < most * early[1], f"descriptors grew from {early[1]} to {late[1]}"
    assert late[2] <= workers, f"{late[2]} zombies"
    table.notes.append(
        f"{count:,} evaluations with {workers} workers took {span(seconds)}, {span(seconds / count)} each on"
        f" {len(os.sched_getaffinity(0))} cores. Of the agent and its hosts together, in the first and in the last"
        f" quarter: {early[0] / 2**20:.0f} and {late[0] / 2**20:.0f} MiB resident, {early[1]:.0f} and {late[1]:.0f}"
        f" descriptors, {early[2]:.0f} and {late[2]:.0f} processes that had ended and were not yet waited for."
    )


def run(brief, folder):
    """The table."""
    evaluator = built("evaluator")
    table = Table(["one evaluation", "takes", "the least there is", "ours above it"])
    compare(table, brief, folder, evaluator)
    endure(table, brief, folder, evaluator)
    return table
