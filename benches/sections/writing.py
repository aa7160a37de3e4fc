"""Mutations recorded per second, beside Python and beside merely writing the bytes."""

import json

import strategies
from measuring import (
    BENCHES, Agent, Table, close, config, digest, digits, equal, limit, median, on_one_core, python, times, took,
)

TITLE = "Mutations recorded per second"
ROUNDS = 2
REFERENCES = ("with_literal", "with_re", "with_libcst")


class Writer:
    """The agent over one strategy, with so many threads."""

    def __init__(self, folder, lines, workers, buffer=1000):
        self.agent = Agent(config(workers=workers).replace("buffer = 1000", f"buffer = {buffer}"), folder)
        self.strategy = strategies.write(folder / "strategies", lines)[0]

    def record(self, mutations):
        """A batch; what it took, and the size of its log."""
        self.agent.forget()
        cost = took(self.agent.command("run", "--rounds", ROUNDS, "--mutations", mutations, "--seed", 1), cwd="/")
        equal("records", self.agent.manifest()["records"], ROUNDS * mutations)
        [log] = self.agent.logs()
        return cost, log

    def refer(self, program, mutations):
        """The same by a reference; what it says and its log."""
        log = self.agent.folder / f"{program}.jsonl"
        log.unlink(missing_ok=True)
        said = python(BENCHES / "reference" / f"{program}.py", self.strategy, ROUNDS, mutations, log)
        equal(f"records of {program}", said["records"], ROUNDS * mutations)
        return said, log


def agree(writer, mutations):
    """All rivals did the same: as many records, of the same fields, with values that their bounds allow, and what
    they counted is what `stats` reads in their logs."""
    _, ours = writer.record(mutations)
    fields = [list(json.loads(line)) for line in ours.read_text().splitlines()]
    equal("lines", len(fields), ROUNDS * mutations)
    equal("fields, always the same", {tuple(names) for names in fields}, {tuple(fields[0])})
    for program in REFERENCES:
        said, log = writer.refer(program, mutations)
        records = [json.loads(line) for line in log.read_text().splitlines()]
        equal(f"fields of {program}", {tuple(record) for record in records}, {tuple(fields[0])})
        equal(f"the counter of {program}", said["total"], len(records))
        read = json.loads(writer.agent("stats", "--json", log))
        equal(f"records of {program} as read", (read["total"], read["successes"]), (len(records), said["successes"]))
        close(f"average of {program} as read", read["avg_duration_seconds"], said["duration"]["mean"], 1e-6)
        holds_bounds(program, records)
    holds_bounds("ours", [json.loads(line) for line in ours.read_text().splitlines()])


def holds_bounds(who, records):
    """Every value is within its bounds and on its step, and successes are new values."""
    bounds = {"stop_loss_pct": (0.01, 0.20), "take_profit_pct": (0.05, 0.50), "trailing_stop_offset": (0.005, 0.05),
              "holding_period_days": (1, 60)}
    equal(f"parameters of {who}", {record["parameter"] for record in records}, set(bounds))
    for record in records:
        low, high = bounds[record["parameter"]]
        new = record["new_value"]
        assert low <= new <= high and round(new, 3) == new, f"{who}: {record}"
        equal(f"{who}: success of a new value", record["success"], new != record["old_value"])


def one_turn(writer, by_ten, both, mutations, few):
    """Each once, one after the other; seconds and what else the table says."""
    with on_one_core():
        cost, log = writer.record(mutations)
        size = log.stat().st_size
        bare = limit(log, size, ROUNDS, writer.agent.folder)
        hashed = digest(log)
        cost_by_ten, _ = by_ten.record(mutations)
        rivals = {program: writer.refer(program, few[program])[0] for program in REFERENCES}
    cost_of_two, log = both.record(mutations)
    bare_of_two = limit(log, log.stat().st_size, ROUNDS, both.agent.folder)
    count = ROUNDS * mutations
    return {
        "bytes": size / count, "digest": hashed / count, "one": count / cost.wall, "two": count / cost_of_two.wall,
        "user": cost.user / count, "user of two": cost_of_two.user / count,
        "share": cost.wall / bare, "share of two": cost_of_two.wall / bare_of_two,
        "bare": count / bare, "by ten": count / cost_by_ten.wall,
        **{program: said["records"] / said["seconds"] for program, said in rivals.items()},
    }


def run(brief, folder):
    """The table."""
    mutations, turns = (1_000, 1) if brief else (500_000, 5)
    table = Table([
        "lines, cores", "mutations/s", "user ns each", "SHA-256 alone, ns", "bytes each", "the limit/s",
        "wall ÷ the limit's", "Python (re)/s", "ours ÷ it", "Python (re, ast)/s", "ours ÷ it", "libcst/s", "ours ÷ it",
    ])
    for lines, few in ((153, {"with_literal": 10_000, "with_re": 400, "with_libcst": 30}),
                       (5_000, {"with_literal": 10_000, "with_re": 12, "with_libcst": 1})):
        one, both = (Writer(folder / f"{lines}-{workers}", lines, workers) for workers in (1, 2))
        by_ten = Writer(folder / f"{lines}-by-ten", lines, 1, buffer=10)
        if lines == 153:
            agree(one, 20 if brief else 200)
        # The first to write gets pages that the machine may not have had before; those who follow, used ones.
        both.record(mutations)
        few = {program: max(1, count // 10) if brief else count for program, count in few.items()}
        measured = [one_turn(one, by_ten, both, mutations, few) for _ in range(turns)]
        at = lambda name: median([turn[name] for turn in measured])
        ratio = lambda name, other: times(median([turn[name] / turn[other] for turn in measured]))
        for cores, rate, user, share in ((1, "one", "user", "share"), (2, "two", "user of two", "share of two")):
            table.add(
                f"{lines:,}, {cores}", digits(at(rate)), digits(at(user) * 1e9), digits(at("digest") * 1e9),
                digits(at("bytes")), digits(at("bare")), times(at(share)),
                digits(at("with_literal")), ratio(rate, "with_literal"),
                digits(at("with_re")), ratio(rate, "with_re"), digits(at("with_libcst")), ratio(rate, "with_libcst"),
            )
        table.notes.append(
            f"{lines:,} lines, one core, ten records to a write, which is the default: {digits(at('by ten'))} mutations/s."
        )
    table.notes.append(
        f"Medians of {turns} turns of {ROUNDS * mutations:,} mutations in {ROUNDS} rounds; ratios are taken within a"
        " turn. Ours is the whole process, from start to exit; of Python the imports are not counted. The manifest of a"
        " batch has the SHA-256 of its log: what OpenSSL takes for that alone, of a record, stands beside our user time."
    )
    return table
