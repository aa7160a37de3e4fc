"""Prints the median (and quartiles) of the best fitness by function, optimiser and number of evaluations, as Markdown.

    compare.py PROGRAM [--seeds 31] [--rivals FILE]

PROGRAM is examples/search_benchmark.rs, built. FILE keeps what the others found, for they take minutes.
"""
import argparse
import json
import pathlib
import statistics
from concurrent.futures import ProcessPoolExecutor

import ours
from problems import FUNCTIONS, Problem
from rivals import RIVALS

BUDGETS = (100, 300, 1000)
OURS = {
    "**ours, 8 a round**": {"per_round": 8},
    "ours, 16 a round": {"per_round": 16},
    "ours, 1 a round": {"per_round": 1},
    "ours, 8 a round, one parameter each": {"per_round": 8, "parameters": 1},
}


def rival(job):
    name, function, budget, seed = job
    problem = Problem(function, seed)
    RIVALS[name](problem, budget, seed)
    return [*job, problem.best[min(budget, len(problem.best)) - 1]]


def of_rivals(seeds, kept):
    if kept and kept.exists():
        return json.loads(kept.read_text())
    jobs = [(n, f, b, s) for n in RIVALS for f in FUNCTIONS for b in BUDGETS for s in range(seeds)]
    with ProcessPoolExecutor() as workers:
        found = list(workers.map(rival, jobs, chunksize=8))
    if kept:
        kept.write_text(json.dumps(found))
    return found


def of_ours(program, seeds):
    problems = [(function, seed) for function in FUNCTIONS for seed in range(seeds)]
    for name, settings in OURS.items():
        for (function, seed), best in ours.solve(program, problems, **settings).items():
            yield from ([name, function, budget, seed, best[budget - 1]] for budget in BUDGETS)


def short(number):
    return "0" if number == 0 else f"{number:.1e}" if number < 0.01 else f"{number:.2f}" if number < 10 else f"{number:.0f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=31)
    parser.add_argument("--rivals", type=pathlib.Path)
    options = parser.parse_args()
    found = {}
    for name, function, budget, _, best in [*of_ours(options.program, options.seeds),
                                            *of_rivals(options.seeds, options.rivals)]:
        found.setdefault((name, function, budget), []).append(best)
    for function in FUNCTIONS:
        print(f"| {function} | " + " | ".join(f"{budget} evaluations" for budget in BUDGETS) + " |")
        print("|---" * (len(BUDGETS) + 1) + "|")
        for name in [*OURS, *RIVALS]:
            cells = []
            for budget in BUDGETS:
                low, median, high = map(short, statistics.quantiles(found[name, function, budget], n=4))
                cells.append(f"{median} ({low}–{high})")
            print(f"| {name} | " + " | ".join(cells) + " |")
        print()


if __name__ == "__main__":
    main()
