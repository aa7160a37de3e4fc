"""Ours, by examples/search_benchmark.rs: the library's own code, which `run.sh` has built."""
import json
import math
import subprocess

from problems import Problem


def solve(program, problems, per_round, survivors=4, parameters=100, evaluations=1000):
    """The best fitness after each evaluation, for every (function, seed)."""
    made = [Problem(function, seed) for function, seed in problems]
    lines = [json.dumps({"function": one.function, "seed": one.seed, "start": one.start, "optimum": one.optimum,
                         "evaluations": evaluations, "per_round": per_round, "survivors": survivors,
                         "parameters_per_mutation": parameters}) for one in made]
    run = subprocess.run([program], input="\n".join(lines), capture_output=True, text=True, check=True)
    found = {}
    for problem, line in zip(made, run.stdout.splitlines(), strict=True):
        solution = json.loads(line)
        # Both sides must mean the same by the function.
        assert math.isclose(problem.value(solution["values"]), solution["best"][-1], rel_tol=1e-9, abs_tol=1e-12)
        found[problem.function, problem.seed] = solution["best"]
    return found
