"""What an evaluation costs besides the evaluator, and that many of them leave nothing behind."""

import os
import subprocess
import time
from pathlib import Path

import strategies
from measuring import ENVIRONMENT, Agent, Table, built, config, equal, median, span, starts, took

TITLE = "Evaluation"


# Requests in flight, beside one.
IN_FLIGHT = (100, 1_000)


def agent_with(evaluator, folder, mode, workers, in_flight=1):
    """An agent that judges by it; what was tried may be tried again, so that each attempt is one evaluation."""
    words = [str(evaluator), "--stream", str(in_flight)] if mode == "stream" else [str(evaluator), "{candidate}"]
    more = f"""
        [evaluator]
        command = {words!r}
        mode = "{mode}"
        workers = {workers}
        in_flight = {in_flight}
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
    flights = {at_once: agent_with(evaluator, folder / f"flight{at_once}", "stream", 1, at_once) for at_once in IN_FLIGHT}
    count, many = (50, 200) if brief else (2_000, 20_000)
    found = {name: [] for name in ("process", "bare process", "python", "stream", "bare stream", *IN_FLIGHT)}
    for _ in range(turns):
        found["bare process"].append(median([one.wall for one in starts(count, [evaluator])]))
        found["process"].append(cost(process, count))
        found["python"].append(by_subprocess(evaluator, count // 4))
        said = subprocess.run([evaluator, "--bare", str(many)], capture_output=True, text=True, check=True)
        found["bare stream"].append(int(said.stdout) / 1e9)
        found["stream"].append(cost(stream, many))
        for at_once, agent in flights.items():
            found[at_once].append(cost(agent, many))
    at = {name: median(seconds) for name, seconds in found.items()}
    line = "a line and its answer, by pipes"
    for name, words, bare, what in (
        ("process", '`mode = "process"`', "bare process", "vfork, exec, wait"), ("stream", '`mode = "stream"`', "bare stream", line),
        *((at_once, f"the same, `in_flight = {at_once}`", "bare stream", line) for at_once in IN_FLIGHT),
    ):
        above = median([one - least for one, least in zip(found[name], found[bare])])
        table.add(words, span(at[name]), f"{what}: {span(at[bare])}", span(above) if above > 0 else f"-{span(-above)}")
    table.add("Python, `subprocess.run`", span(at["python"]), "", span(at["python"] - at["bare process"]))
    table.notes.append(
        f"One worker; medians of {turns} turns of {count:,} evaluations ({many:,} in stream mode) by an evaluator in C"
        " that answers at once. Ours has proposing, the candidate's file, the record on disk and the search in it. What is"
        " above the least is the median of the turns' differences; by pipes the least depends on whether both ends sit on one"
        " core or on two, and so differs from run to run. With several in flight the evaluator answers one once so many are"
        " unanswered, so each still waits for a line and its answer."
    )


def below(pid):
    """The processes that it has started and not yet waited for."""
    found = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    except OSError:
        pass  # It has just ended.
    return found


class Watched:
    """What a batch and its hosts hold, seen from outside as it goes."""

    def __init__(self):
        self.samples = []

    def look(self, agent):
        """Takes a sample: the agent's and all hosts' memory and descriptors, and how many have ended without being waited for."""
        hosts = below(agent)
        try:
            sample = [*self.held([agent]), *self.held(hosts)]
            ended = [pid for pid in [*hosts, *(pid for host in hosts for pid in below(host))] if self.state(pid) == "Z"]
        except OSError:
            return
        self.samples.append((len(hosts), *sample, len(ended)))

    @staticmethod
    def state(pid):
        """A letter."""
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return ""

    @staticmethod
    def held(pids):
        """Resident bytes and descriptors."""
        pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
        return pages * os.sysconf("SC_PAGE_SIZE"), sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)

    def part(self, first, last):
        """The medians of this part of the samples in which all hosts were there."""
        all_there = max(hosts for hosts, *_ in self.samples)
        samples = [sample[1:] for sample in self.samples if sample[0] == all_there]
        samples = samples[int(first * len(samples)):int(last * len(samples))] or samples[-1:]
        return [median(column) for column in zip(*samples)]


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
    # At first the hosts come to know their pages; in a brief run that takes all of it.
    early, late = watched.part(0.1, 0.25), watched.part(0.75, 1)
    most = 1.5 if brief else 1.05
    held = ("memory of the agent", "descriptors of the agent", "memory of its hosts", "descriptors of its hosts")
    for what, before, after in zip(held, early, late):
        assert after < most * before, f"{what}: {before:.0f} grew to {after:.0f}"
    assert late[4] <= workers, f"{late[4]} processes have ended and were not waited for"
    table.notes.append(
        f"{count:,} evaluations with {workers} workers, `mode = \"process\"`, took {span(seconds)}, {span(seconds / count)}"
        f" each on {len(os.sched_getaffinity(0))} cores. What was held after a tenth of them, and in the last quarter: by the"
        f" agent {early[0] / 2**20:.1f} and {late[0] / 2**20:.1f} MiB of memory, {early[1]:.0f} and {late[1]:.0f} descriptors; by"
        f" its hosts together {early[2] / 2**20:.0f} and {late[2] / 2**20:.0f} MiB, {early[3]:.0f} and {late[3]:.0f} descriptors."
        f" Processes that had ended and were not yet waited for: {early[4]:.0f} and {late[4]:.0f}."
    )


def run(brief, folder):
    """The table."""
    evaluator = built("evaluator")
    table = Table(["one evaluation", "takes", "the least there is", "above it"])
    compare(table, brief, folder, evaluator)
    endure(table, brief, folder, evaluator)
    return table
