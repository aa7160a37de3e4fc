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
    counts, turns = ((1, 30), 3) if brief else ((1_000, 10_000), 25)
    agent, empty = (Agent(config(more=MORE), folder / name) for name in ("agent", "empty"))
    for one in (agent, empty):
        strategies.write(one.folder / "strategies", 153)
    start = agent.command("run", "--rounds", 1, "--mutations", 1)
    table = Table([
        "sealed batches", "`run` of one mutation", "user and system", "beside none", "wall ÷ none's", "`audit verify`",
    ])
    there = 0
    for count in counts:
        starts(count - there, start, cwd="/")
        taken, beside = [], []
        for _ in range(turns):
            empty.forget()
            beside += starts(1, empty.command("run", "--rounds", 1, "--mutations", 1), cwd="/")
            taken += starts(1, start, cwd="/")
        there = count + turns
        equal("sealed batches", (len(agent.logs()), len(empty.logs())), (there, 1))
        sound = f"{there} batches, {there} records verified: sound"
        assert sound in agent("audit", "verify"), f"not said: {sound}"
        verify = took(agent.command("audit", "verify"), cwd="/").wall
        wall, wall_of_none = (median([one.wall for one in these]) for these in (taken, beside))
        busy = median([one.user + one.system for one in taken])
        table.add(f"{count:,}", span(wall), span(busy), span(wall_of_none), times(wall / wall_of_none), span(verify))
    table.notes.append(
        f"Medians of {turns} starts, in turns with a data folder that is empty. The batches are real ones of one"
        " mutation each; a run seals one more and syncs. No candidates are kept and none is pruned: once the retention is reached, each batch lists the"
        " folder once to find what goes. `audit verify` reads everything, which is what it is for; it"
        " finds all of them sound."
    )
    return table
