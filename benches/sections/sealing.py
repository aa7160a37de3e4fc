"""What a start takes as sealed batches grow in number."""

import strategies
from measuring import Agent, Table, config, equal, median, span, starts, times, took

TITLE = "A start beside many sealed batches"
# Nothing is ever pruned; no candidates, which would be folders beside the data.
MORE = """
        retention = { batches = 1000000, age = "36000d", bytes = "1000GiB" }
        [output]
        keep = 0
"""


def run(brief, folder):
    """The table."""
    counts, turns = ((0, 30), 3) if brief else ((0, 1_000, 10_000), 25)
    agent = Agent(config(more=MORE), folder / "agent")
    strategies.write(agent.folder / "strategies", 153)
    start = agent.command("run", "--rounds", 1, "--mutations", 1)
    table = Table(["sealed batches", "`run` of one mutation", "user and system", "wall to none's", "`audit verify`"])
    there, first = 0, None
    for count in counts:
        starts(count - there, start, cwd="/")
        taken = starts(turns, start, cwd="/")
        there = count + turns
        equal("sealed batches", len(agent.logs()), there)
        sound = f"{there} batches, {there} records verified: sound"
        assert sound in agent("audit", "verify"), f"not said: {sound}"
        verify = took(agent.command("audit", "verify"), cwd="/").wall
        wall = median([one.wall for one in taken])
        first = first or wall
        busy = median([one.user + one.system for one in taken])
        table.add(f"{count:,}", span(wall), span(busy), times(wall / first), span(verify))
    table.notes.append(
        f"Medians of {turns} starts on that many batches, which are real ones of one mutation each; a run seals one and"
        " syncs. `audit verify` reads everything, which is what it is for; it finds all of them sound."
    )
    return table
