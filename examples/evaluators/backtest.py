#!/usr/bin/env python3
"""A back-test of exit rules, as an evaluator for mutation-agent. Python's standard library is all it needs.

    backtest.py CANDIDATE             judges one strategy; mode = "process"
    backtest.py --stream              judges one per line of standard input; mode = "stream"
    backtest.py --holdout CANDIDATE   on the days that the other two never see: for a check before anything goes live
    backtest.py --make-prices         writes the prices anew; prices.csv is what it prints

The candidate is executed, so what is judged is the file as it would run, and not a list of numbers beside it. The four
exit rules are read from wherever the strategies here keep them: module, class, instance, dict, pairs.

The fitness is the annual Sharpe ratio of the daily returns, days without a position and costs included.
"""

import functools
import json
import math
import sys
import types
from pathlib import Path

RULES = ("stop_loss_pct", "take_profit_pct", "trailing_stop_offset", "holding_period_days")
PRICES = Path(__file__).with_name("prices.csv")
# The first days are for the search, those after them for the check.
HOLDOUT_FROM = 2000
# Of the price, at each purchase and at each sale.
COST = 0.001
# An entry is a close above all of so many days before it.
BREAKOUT = 10
DAYS_A_YEAR = 252


def load(path):
    """The candidate as a module, executed from its file."""
    module = types.ModuleType("candidate")
    exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), module.__dict__)
    return module


def rules(module):
    """The four exit rules of a strategy, by their names."""
    found = {}
    for place in places(module):
        for name in RULES:
            if name not in found and isinstance(place.get(name), (int, float)):
                found[name] = place[name]
    missing = [name for name in RULES if name not in found]
    if missing:
        raise ValueError(f"the strategy says nothing of {', '.join(missing)}")
    return found


def places(module):
    """Every mapping in which a strategy may keep parameters: what it builds, its instances, its classes, itself."""
    names = vars(module)
    classes = [one for one in names.values() if isinstance(one, type) and one.__module__ == module.__name__]
    built = [names["build"]()] if "build" in names else []
    for one in classes:
        try:
            built.append(one())
        except TypeError:
            # It cannot be made without arguments.
            pass
    for one in built + classes + [module]:
        yield vars(one)
        for value in list(vars(one).values()):
            if isinstance(value, dict):
                yield value
            elif isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
                yield dict(value)


def exit_day(closes, entry, rule):
    """The first day after `entry` on which one of the four rules says to leave, or the last one."""
    bought = highest = closes[entry]
    for day in range(entry + 1, len(closes)):
        close = closes[day]
        highest = max(highest, close)
        if (
            close <= bought * (1 - rule["stop_loss_pct"])
            or close >= bought * (1 + rule["take_profit_pct"])
            or (highest > bought and close <= highest * (1 - rule["trailing_stop_offset"]))
            or day - entry >= rule["holding_period_days"]
        ):
            return day
    return len(closes) - 1


def trades(closes, rule):
    """Pairs of the day of purchase and the day of sale, one position at a time."""
    done = []
    day = BREAKOUT
    while day < len(closes) - 1:
        if closes[day] > max(closes[day - BREAKOUT:day]):
            left = exit_day(closes, day, rule)
            done.append((day, left))
            day = left
        day += 1
    return done


def judge(path, closes):
    """The fitness of the strategy in a file, and what else there is to say."""
    rule = rules(load(path))
    done = trades(closes, rule)
    daily = [0.0] * len(closes)
    for entry, left in done:
        for day in range(entry + 1, left + 1):
            daily[day] = math.log(closes[day] / closes[day - 1])
        daily[entry + 1] -= COST
        daily[left] -= COST
    mean = math.fsum(daily) / len(daily)
    deviation = math.sqrt(math.fsum((one - mean) ** 2 for one in daily) / len(daily))
    sharpe = mean / deviation * math.sqrt(DAYS_A_YEAR) if deviation else 0.0
    wins = sum(math.fsum(daily[entry + 1:left + 1]) > 0 for entry, left in done)
    return {
        "fitness": round(sharpe, 6),
        "metrics": {
            "trades": len(done),
            "wins": round(wins / len(done), 4) if done else 0.0,
            "days_per_trade": round(sum(left - entry for entry, left in done) / len(done), 2) if done else 0.0,
            "annual_log_return": round(mean * DAYS_A_YEAR, 6),
        },
    }


def evaluate(path, seed):
    """The same for ray_adapter.py and dask_adapter.py. Nothing here is drawn, so the seed is not needed."""
    return judge(path, read_prices()[:HOLDOUT_FROM])


def stream(closes):
    """An answer per request. What goes wrong with one candidate is an answer, too, and not the end of the worker."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = judge(request["candidate"], closes)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        # Flushed, or the agent would wait for it until the time-out.
        print(json.dumps({"id": request["id"]} | answer), flush=True)


@functools.cache
def read_prices():
    """The closes of all days."""
    return [float(line.split(",")[1]) for line in PRICES.read_text().splitlines()[1:]]


def make_prices(days=3000, seed=20261123):
    """Synthetic closes: calm rises, choppy phases that lead nowhere, and falls. No market was harmed."""
    # Here, since it takes longer to import than an evaluation to make.
    import random

    # Name, mean length in days, mean and deviation of a day's log return, pull back to where the phase began.
    phases = [("rise", 25, 0.005, 0.01, 0.0), ("chop", 40, 0.0, 0.014, 0.2), ("fall", 12, -0.012, 0.018, 0.0)]
    draw = random.Random(seed)
    log = start = math.log(100)
    left = 0
    print("day,close")
    for day in range(days):
        if left == 0:
            _, length, drift, noise, pull = draw.choices(phases, weights=(5, 4, 3))[0]
            left, start = max(5, int(draw.expovariate(1 / length))), log
        log += drift + pull * (start - log) + noise * draw.gauss(0, 1)
        left -= 1
        print(f"{day},{math.exp(log):.4f}")


def main(arguments):
    """What was asked for; the exit code."""
    match arguments:
        case ["--make-prices"]:
            make_prices()
        case ["--stream"]:
            stream(read_prices()[:HOLDOUT_FROM])
        case ["--holdout", candidate]:
            print(json.dumps(judge(candidate, read_prices()[HOLDOUT_FROM:])))
        case [candidate] if not candidate.startswith("-"):
            print(json.dumps(judge(candidate, read_prices()[:HOLDOUT_FROM])))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
