#!/usr/bin/env python3
"""`compare --json` beside scipy and statsmodels: over batches that the agent made, and over audits of many shapes.

Sets are picked from the log by Python. Figures that are determined equal theirs to 1e-9; bootstrap intervals, whose
resamples are others, end where theirs do.
"""

import json
import math
import random
import time

import numpy
from scipy import stats
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint, proportion_effectsize

from lib import ROOT, Agent, config, equal

begun = time.monotonic()
figures = 0
COLUMNS = {"duration_seconds": "duration_ms", "evaluation_seconds": "evaluation_ms", "fitness": "fitness"}


def near(what, found, expected, relative=1e-9, absolute=1e-11):
    """Fails where two numbers differ by more than rounding."""
    global figures
    figures += 1
    assert found is not None and math.isclose(found, expected, rel_tol=relative, abs_tol=absolute), (
        f"{what}: found {found!r}, expected {expected!r}"
    )


def numbers(records, column):
    """As the agent reads them: seconds of whole nanoseconds, and fitness as it stands."""
    values = [record[column] for record in records if record[column] is not None]
    return numpy.array(values if column == "fitness" else [round(value * 1e6) / 1e9 for value in values])


def holds_rates(what, found, a, b, alpha):
    """Rates, intervals, effect and what it takes to decide."""
    (x, n), (y, m) = ((sum(record["success"] for record in one), len(one)) for one in (a, b))
    for name, successes, attempts in (("a", x, n), ("b", y, m)):
        equal(f"{what}: {name}", (found[name]["successes"], found[name]["attempts"]), (successes, attempts))
        interval = proportion_confint(successes, attempts, alpha=alpha, method="wilson")
        for end, expected in zip(found[name]["success_rate_interval"], interval):
            near(f"{what}: Wilson of {name}", end, expected)
        holds_design_effect(f"{what}: design effect of {name}", found[name], a if name == "a" else b)
    rates = found["success_rate"]
    near(f"{what}: difference", rates["difference"], y / m - x / n)
    newcombe = confint_proportions_2indep(y, m, x, n, method="newcomb", compare="diff", alpha=alpha)
    for end, expected in zip(rates["interval"], newcombe):
        near(f"{what}: Newcombe", end, expected)
    near(f"{what}: h", rates["cohens_h"], proportion_effectsize(y / m, x / n))
    divisor = holds_clusters(what, found, a, b, alpha)
    interval = rates["interval_over_batches"] or rates["interval"]
    verdict = "b_higher" if interval[0] > 0 else "a_higher" if interval[1] < 0 else "undecided"
    equal(f"{what}: verdict", found["verdict"], verdict)
    if verdict != "undecided":
        equal(f"{what}: needed", rates["needed"], None)
        return
    needed = rates["needed"]
    h = rates["cohens_h"]
    if needed["basis"] == "relevant":
        middle = min(max((sum(r["success"] for r in a + b)) / len(a + b), 0.01), 0.99)
        h = proportion_effectsize(middle + 0.01, middle - 0.01)
    power = NormalIndPower().power(abs(h), needed["each"] / divisor, alpha, ratio=1)
    less = NormalIndPower().power(abs(h), (needed["each"] - 1) / divisor, alpha, ratio=1)
    assert less < 0.8 + 1e-9 and power > 0.8 - 1e-9, f"{what}: {needed}, power {power}, with one less {less}"
    equal(f"{what}: more", (needed["more_a"], needed["more_b"]),
          (max(0, needed["each"] - len(a)), max(0, needed["each"] - len(b))))


def holds_clusters(what, found, a, b, alpha):
    """The same rates from as many attempts as the batches are worth; returns how many are worth one."""
    rates = found["success_rate"]
    if {record["batch_id"] for record in a} == {record["batch_id"] for record in b}:
        equal(f"{what}: over batches", (rates["interval_over_batches"], rates["design_effect"]), (None, None))
        return 1
    known = [(found[name]["design_effect"], found[name]["batches"] - 1) for name in "ab"
             if found[name]["batches"] > 1 and 0 < found[name]["success_rate"] < 1]
    if not known:
        equal(f"{what}: over batches", rates["interval_over_batches"], None)
        return 1
    freedom = sum(weight for _, weight in known)
    effect = sum(one * weight for one, weight in known) / freedom
    equal(f"{what}: freedom", rates["degrees_of_freedom"], freedom)
    near(f"{what}: design effect", rates["design_effect"], effect)
    divisor = max(1, effect)
    # statsmodels takes the normal distribution; as far out as Student's is its quantile at another level.
    level = 2 * stats.norm.sf(stats.t.isf(alpha / 2, freedom)) if effect > 1 else alpha
    x, n, y, m = (sum(r["success"] for r in a), len(a), sum(r["success"] for r in b), len(b))
    over = confint_proportions_2indep(*(one / divisor for one in (y, m, x, n)), method="newcomb", compare="diff", alpha=level)
    for end, expected in zip(rates["interval_over_batches"], over):
        near(f"{what}: Newcombe over batches", end, expected, relative=1e-8)
    return divisor


def holds_design_effect(what, found, records):
    """Rao and Scott's, by their formula."""
    batches = {}
    for record in records:
        batches.setdefault(record["batch_id"], []).append(record["success"])
    equal(f"{what}: batches", found["batches"], len(batches))
    if len(batches) < 2:
        equal(what, found["design_effect"], None)
        return
    n, p, k = len(records), sum(r["success"] for r in records) / len(records), len(batches)
    if 0 < p < 1:
        variance = k / (k - 1) * sum((sum(one) - len(one) * p) ** 2 for one in batches.values()) / n**2
        near(what, found["design_effect"], n * variance / (p * (1 - p)))


def holds_ranks(what, found, a, b, alpha, draws):
    """The rank test, the effect, the quantiles and their intervals."""
    if not len(a) or not len(b):
        equal(what, found, None)
        return
    small = len(a) + len(b) <= 50
    ties = len(set(a) | set(b)) < len(a) + len(b)
    equal(f"{what}: method", found["method"], "exact" if small else "asymptotic")
    if small and ties:
        deals = math.comb(len(a) + len(b), len(a))
        if deals < 20_000:
            exact = stats.permutation_test((b, a), u_of, n_resamples=numpy.inf)
            near(f"{what}: p", found["p_value"], exact.pvalue)
        u = u_of(b, a)
    else:
        test = stats.mannwhitneyu(b, a, method="exact" if small else "asymptotic")
        u = test.statistic
        p = 1.0 if len(set(a) | set(b)) == 1 else test.pvalue
        near(f"{what}: p", found["p_value"], p, relative=1e-8)
    near(f"{what}: U", found["mann_whitney_u"], u)
    probability = u / len(a) / len(b)
    near(f"{what}: A12", found["probability_b_greater"], probability)
    near(f"{what}: delta", found["cliffs_delta"], 2 * probability - 1)
    for name, share in (("median", 0.5), ("p95", 0.95)):
        near(f"{what}: {name}", found[f"{name}_difference"], numpy.quantile(b, share) - numpy.quantile(a, share))
        interval = found[f"{name}_difference_interval"]
        fewest = min(len(a), len(b))
        equal(f"{what}: interval of {name}", interval is not None, 1 - share**fewest - (1 - share) ** fewest >= 1 - alpha)
        if interval and len(a) + len(b) <= 3000:
            boot = stats.bootstrap(
                (a, b), lambda a, b, axis, share=share: numpy.quantile(b, share, axis=axis) - numpy.quantile(a, share, axis=axis),
                n_resamples=4999, confidence_level=1 - alpha, method="percentile", rng=draws, vectorized=True, batch=200,
            ).bootstrap_distribution
            # In their resamples each end has what it should on either side; resamples of quantiles have gaps.
            for end, share_below in zip(interval, (alpha / 2, 1 - alpha / 2)):
                slack = 1e-12 * abs(end)
                below, up_to = numpy.mean(boot < end - slack), numpy.mean(boot <= end + slack)
                assert below <= share_below + 0.012 and up_to >= share_below - 0.012, (
                    f"{what}: bootstrap of {name}: {end} has {below}..{up_to} below it, not {share_below}"
                )
    if found["p_value"] < alpha:
        equal(f"{what}: needed", found["needed"], None)
    else:
        effect = probability if found["needed"]["basis"] == "observed" else 0.56
        z = stats.norm.isf(alpha / 2) + stats.norm.isf(0.2)
        equal(f"{what}: needed", found["needed"]["each"], math.ceil(z**2 / (6 * (effect - 0.5) ** 2)))


def u_of(b, a):
    """Mann and Whitney's U by its definition."""
    return float(numpy.sum(b[:, None] > a[None, :]) + 0.5 * numpy.sum(b[:, None] == a[None, :]))


def holds(what, found, a, b, draws, alpha=0.05):
    """All of it."""
    holds_rates(what, found, a, b, alpha)
    for name, column in COLUMNS.items():
        x, y = numbers(a, column), numbers(b, column)
        equal(f"{what}: samples", (found["a"][name]["samples"], found["b"][name]["samples"]), (len(x), len(y)))
        if len(x):
            near(f"{what}: median", found["a"][name]["median"], numpy.median(x))
            near(f"{what}: p95", found["a"][name]["p95"], numpy.quantile(x, 0.95))
        holds_ranks(f"{what}: {name}", found[name], x, y, alpha, draws)


def record(batch, number, variant, success, milliseconds, fitness):
    """A line of the audit with what is compared."""
    return {
        "timestamp": "2026-11-23T02:00:00.000000Z", "batch_id": batch, "mutation_id": f"exit_mut_{number:06}", "round": 1,
        "strategy": "a.py", "line": 1, "parameter": "stop_loss_pct", "operator": "uniform", "variant": variant,
        "parent": None, "old_value": 0.1, "new_value": 0.12, "clamped": False,
        "outcome": "success" if success else "evaluator_failed", "success": success, "validation_passed": True,
        "error": None, "fitness": fitness, "duration_ms": milliseconds, "evaluation_ms": None,
    }


# n of each, rates, durations in ms, fitness.
normal, heavy = (lambda r: r.gauss(0, 1)), (lambda r: r.paretovariate(0.6))
SHAPES = {
    "one each": (1, 1, 1.0, 0.0, heavy, normal, 1),
    "tiny": (3, 5, 0.5, 0.5, heavy, normal, 1),
    "tiny with ties": (5, 6, 0.5, 0.5, lambda r: r.randint(1, 3), lambda r: float(r.randint(0, 2)), 1),
    "all the same": (40, 30, 1.0, 1.0, lambda r: 7, lambda r: 0.0, 1),
    "small and all the same": (4, 4, 0.0, 0.0, lambda r: 7, lambda r: -0.0, 1),
    "zeros": (80, 70, 0.1, 0.2, lambda r: r.choice([0, 0, 0, 1]), lambda r: r.choice([0.0, -0.0, 1.5]), 2),
    "never against always": (60, 60, 0.0, 1.0, heavy, None, 1),
    "other nights": (900, 4_000, 0.8, 0.82, heavy, None, (3, 6)),
    "one night against many": (300, 4_000, 0.8, 0.85, heavy, None, (1, 6)),
    "other nights, all well on one side": (900, 900, 1.0, 0.97, heavy, None, (3, 3)),
    "unequal": (12, 900, 0.9, 0.7, heavy, normal, 1),
    "many": (20_000, 30_000, 0.84, 0.85, heavy, normal, 8),
    "ties among many": (5_000, 5_000, 0.5, 0.52, lambda r: r.randint(1, 20), lambda r: round(r.gauss(0, 1), 1), 5),
}


def compare(agent, *arguments):
    """The JSON, in which nothing may be infinite."""
    return json.loads(agent("compare", *arguments, "--json").stdout, parse_constant=lambda name: 1 / 0)


def shapes():
    """Made-up audits; each with its two sets as variants, and once with A and B swapped."""
    agent = Agent(config())
    for at, (what, (n, m, p, q, duration, fitness, nights)) in enumerate(SHAPES.items()):
        r, draws = random.Random(at), numpy.random.default_rng(at)
        lines = []
        for number in range(n + m):
            variant, rate = ("a", p) if number < n else ("b", q)
            # As many nights for both, or so many for each, which are not alike.
            day = number % nights if isinstance(nights, int) else number % nights[number >= n] + 9 * (number >= n)
            rate = rate if isinstance(nights, int) else min(1, rate * (1 + day % 3 / 20))
            night = f"202611{day + 1:02}T020000Z-{day:06}"
            shift = 0.0 if variant == "a" else 0.2
            value = fitness(r) + shift if fitness else None
            milliseconds = round(min(duration(r), 1e9) * (1 + shift), 6)
            lines.append(record(night, number, variant, r.random() < rate, milliseconds, value))
        path = agent.folder / f"{at}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        a, b = ([line for line in lines if line["variant"] == name] for name in "ab")
        found = compare(agent, "variant=a", "variant=b", path)
        holds(what, found, a, b, draws)
        swapped = compare(agent, "variant=b", "variant=a", path)
        near(f"{what}: swapped", swapped["success_rate"]["difference"], -found["success_rate"]["difference"])
        near(f"{what}: swapped", swapped["duration_seconds"]["cliffs_delta"], -found["duration_seconds"]["cliffs_delta"])
        near(f"{what}: swapped", swapped["duration_seconds"]["p_value"], found["duration_seconds"]["p_value"])
        if what in ("many", "unequal"):
            sure = compare(agent, "variant=a", "variant=b", path, "--confidence", "0.99")
            holds(f"{what} at 0.99", sure, a, b, draws, alpha=0.01)


def nights():
    """Batches of the agent with an evaluator and variants, by each kind of set."""
    agent = Agent(config(rounds=4, mutations=60) + f"""
        [evaluator]
        command = ["python3", "{ROOT}/examples/evaluators/backtest.py", "--stream"]
        mode = "stream"
        [[variant]]
        name = "usual"
        weight = 2
        [[variant]]
        name = "wide"
        operator = "lognormal"
        sigma = 0.4
    """)
    for seed in (1, 2, 3):
        agent("run", "--seed", seed)
    records, draws = agent.records(), numpy.random.default_rng(99)
    ids = sorted({record["batch_id"] for record in records})
    of = lambda **terms: [r for r in records if all(r[name] == value for name, value in terms.items())]
    strategy = records[0]["strategy"]
    kinds = {
        ("usual", "wide"): (of(variant="usual"), of(variant="wide")),
        (f"variant=usual,strategy={strategy}", f"variant=wide,strategy={strategy}"):
            (of(variant="usual", strategy=strategy), of(variant="wide", strategy=strategy)),
        ("stop_loss_pct", "take_profit_pct"): (of(parameter="stop_loss_pct"), of(parameter="take_profit_pct")),
        (ids[0], ids[2]): (of(batch_id=ids[0]), of(batch_id=ids[2])),
        (f"batch={ids[0]},batch={ids[1]}", f"batch={ids[2]}"):
            (of(batch_id=ids[0]) + of(batch_id=ids[1]), of(batch_id=ids[2])),
        (str(agent.batches()[0]), f"path={agent.batches()[1]}"): (of(batch_id=ids[0]), of(batch_id=ids[1])),
    }
    for (a, b), (of_a, of_b) in kinds.items():
        found = compare(agent, a, b)
        equal("direction", found["fitness_direction"], "maximize")
        holds(f"{a} and {b}", found, of_a, of_b, draws)
    said = agent("compare", "usual", "wide").stdout
    assert said.splitlines()[0].endswith("."), said
    print(said)


shapes()
nights()
print(f"{figures} figures of {len(SHAPES)} made-up audits and 6 comparisons of real batches are those of scipy and statsmodels"
      f" ({time.monotonic() - begun:.0f} s)")
