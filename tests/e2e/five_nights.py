"""Five nights of the example strategies with the example evaluator, one of which is killed; then a promotion.

The champions get better, the killed night costs what was in flight, each night is drawn again from its manifest alone,
and what becomes of a strategy differs from what was written in its parameters' literals and nowhere else.
"""

import ast
import json
import shutil
import signal

from lib import ROOT, Agent, equal, read_log, temporary_folder, wait_for

CONFIG = """
[strategies]
include = ["strategies/*.py"]
[batch]
rounds = 5
mutations_per_round = ATTEMPTS
[evaluator]
command = COMMAND
mode = "MODE"
workers = 2
[[constraint]]
rule = "stop_loss_pct < take_profit_pct"
[metrics]
textfile = "agent.prom"
[promote]
command = ["python3", "evaluators/holdout.py", "{candidate}", "{source}"]
min_improvement = LEAST
"""
MIN_IMPROVEMENT = 0.01
# The command, and the attempts in a round: an interpreter that is started for each takes its time.
MODES = {
    "stream": (["python3", "evaluators/backtest.py", "--stream"], 32),
    "process": (["python3", "evaluators/backtest.py", "{candidate}"], 16),
}
PARAMETERS = ("stop_loss_pct", "take_profit_pct", "trailing_stop_offset", "holding_period_days")
# Out of sample: lets a candidate pass if it is no disaster on days that the search has not seen.
HOLDOUT = """
import json, subprocess, sys
def judged(path):
    run = [sys.executable, "evaluators/backtest.py", "--holdout", path]
    last = subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    answer = json.loads(last)
    return answer["fitness"] if isinstance(answer, dict) else answer
sys.exit(judged(sys.argv[1]) < judged(sys.argv[2]) - 1.0)
"""


class House(Agent):
    """The example strategies and the example evaluator, copied."""

    def __init__(self, mode):
        super().__init__("", strategies=None, folder=temporary_folder() / "agent")
        shutil.copytree(ROOT / "examples/strategies", self.folder / "strategies")
        shutil.copytree(ROOT / "examples/evaluators", self.folder / "evaluators")
        (self.folder / "evaluators/holdout.py").write_text(HOLDOUT)
        command, attempts = MODES[mode]
        text = CONFIG.replace("COMMAND", json.dumps(command)).replace("MODE", mode)
        self.configure(text.replace("ATTEMPTS", str(attempts)).replace("LEAST", str(MIN_IMPROVEMENT)))

    def best(self):
        """Fitness by strategy: of the source until there is a better one."""
        state = json.loads((self.folder / "mutation-data/state.json").read_text())
        return {search["name"]: search["population"][0]["fitness"] for search in state["searches"]}


def killed(house, seed):
    """A night that is killed in the middle; gives how many records it has left."""
    process = house.start("run", "--seed", seed)
    wait_for("some records", lambda: any(
        path.read_bytes().count(b"\n") > 30 for path in house.audit.glob("*.partial")
    ))
    process.send_signal(signal.SIGKILL)
    equal("killed", process.wait(), -signal.SIGKILL)
    text = next(house.audit.glob("*.partial")).read_bytes()
    return text[:text.rfind(b"\n") + 1].count(b"\n")


def outside_of_parameters(text):
    """The syntax tree with the parameters' numbers taken out."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
            node.value = 0
    return ast.dump(tree)


def differing_lines(before, after):
    """Lines that are not the same; there are as many of both."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    equal("lines", len(new), len(old))
    return [(one, other) for one, other in zip(old, new) if one != other]


def nights(mode):
    """Five nights; the third is killed, and its records count all the same."""
    house, history, left = House(mode), [], 0
    for night in range(1, 6):
        if night == 3:
            left = killed(house, night)
        else:
            house("run", "--seed", night)
            history.append(house.best())
    for earlier, later in zip(history, history[1:]):
        worse = [name for name, fitness in later.items() if fitness < earlier[name]]
        equal("champions that got worse", worse, [])
    baselines = {
        search["name"]: search["baseline"]
        for search in json.loads((house.folder / "mutation-data/state.json").read_text())["searches"]
    }
    equal("strategies", len(baselines), 4)
    stuck = [name for name in baselines if history[-1][name] <= baselines[name]]
    equal("strategies without a better candidate", stuck, [])
    crashed = house.batches()[2]
    equal("the third night", house.manifest(crashed)["status"], "crashed")
    equal("its records", len(read_log(crashed)), left)
    rows = [json.loads(line) for line in house("replay", "--json").stdout.splitlines()]
    equal("drawn again", [(row["result"], row["records"]) for row in rows],
          [("same", len(read_log(log))) for log in house.batches()])
    house("audit", "verify")
    return house, baselines, history[-1]


def promotion(house):
    """Each champion in the place of its source; nothing but literals of parameters differ."""
    promoted = 0
    for path in sorted((house.folder / "strategies").glob("*.py")):
        before = path.read_bytes().decode()
        champion = json.loads(house("best", "--json", f"strategies/{path.name}").stdout)[0]
        ended = house("promote", f"strategies/{path.name}", exits=None)
        after = path.read_bytes().decode()
        gain = champion["fitness"] - champion["baseline_fitness"]
        if ended.returncode == 1:
            gate = "`min_improvement`" if gain <= MIN_IMPROVEMENT else "said no"
            assert gate in ended.stderr, ended.stderr
            equal("a strategy that is not promoted", after, before)
            continue
        assert gain > MIN_IMPROVEMENT, champion
        equal("exit code", ended.returncode, 0)
        promoted += 1
        equal("all but numbers", outside_of_parameters(after), outside_of_parameters(before))
        changed = [name for name, value in champion["values"].items() if value != champion["source_values"][name]]
        lines = differing_lines(before, after)
        equal("lines that differ", len(lines), len(changed))
        for old, _ in lines:
            assert any(name in old for name in PARAMETERS), old
    assert promoted > 0, "no champion passed"
    house("run")
    return promoted


if __name__ == "__main__":
    told = []
    for mode in MODES:
        house, baselines, best = nights(mode)
        gains = [best[name] - baselines[name] for name in baselines]
        told.append(f"{mode}: {sum(gains) / len(gains):+.2f}, {promotion(house)} promoted")
    print(f"champions better after five nights, one of them killed ({'; '.join(told)})")
