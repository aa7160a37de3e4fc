"""Memory and time of ever more mutations in one batch."""

from statistics import mean

import strategies
from measuring import Agent, Table, config, equal, median, span, starts

TITLE = "Memory"
MOST_IN_A_ROUND = 100_000


def run(brief, folder):
    """The table."""
    counts = ((1_000, 1), (10_000, 1)) if brief else ((1_000, 21), (100_000, 45), (10_000_000, 3))
    agent = Agent(config(workers=0), folder / "agent")
    strategies.write(agent.folder / "strategies", 153, 4)
    table = Table(["mutations", "peak", "wall", "log", "wall of each beyond the first row's", "user time of each, likewise"])
    first = None
    for count, turns in counts:
        taken = batches(agent, count, turns)
        wall = median([took.wall for took in taken])
        peak = max(took.peak for took in taken) / 2**20
        [log] = agent.logs()
        size = log.stat().st_size
        # The kernel guesses by ticks which part of a short run was the user's: wrong of one, right of many.
        user = mean([took.user for took in taken])
        row = [f"{count:,}", f"{peak:.1f} MiB", span(wall), f"{size / 1e6:,.1f} MB"]
        if first:
            more = count - first[0]
            table.add(*row, span((wall - first[1]) / more), span((user - first[2]) / more))
        else:
            first = count, wall, user
            table.add(*row, "", "")
        lines = sum(block.count(b"\n") for block in blocks(log))
        equal("lines of the log", lines, count)
    agent.forget()
    table.notes.append(
        f"Two workers where there are two cores; rounds of up to {MOST_IN_A_ROUND:,}, each with its sync. The first row"
        " has what every batch has: the start, and the candidates of four strategies, ten each, that are written and"
        f" parsed. Medians of {', '.join(str(turns) for _, turns in counts)} batches (of user time the mean), the greatest peak."
    )
    return table


def batches(agent, count, turns):
    """What so many batches of so many mutations took; only the last one's data are left."""
    rounds = -(-count // MOST_IN_A_ROUND)
    taken = []
    for _ in range(turns):
        agent.forget()
        taken += starts(1, agent.command("run", "--rounds", rounds, "--mutations", count // rounds), cwd="/")
        equal("records", agent.manifest()["records"], count)
    return taken


def blocks(path):
    """A file piece by piece."""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block
