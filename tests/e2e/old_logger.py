#!/usr/bin/env python3
"""A program as teams have had for years: it changes numbers, and logs each attempt as a line of JSON.

    old_logger.py LOG SEED COUNT [--pause SECONDS] [--rotate BYTES] [--halves EVERY] [--dies]

Times are `datetime.now().isoformat()`, without a zone and without a fraction where that is 0; values may be NaN; ids
begin at 1 in each process; several processes write into one file. `epoch` is for the check, which knows by it what the
time really was. --halves: each so many lines comes in two writes. --dies: killed in the middle of a line, after COUNT.
"""

import argparse
import json
import logging
import logging.handlers
import os
import random
import signal
import time
from datetime import datetime

# Name, start, bounds, as of the configuration that has no [[parameter]].
PARAMETERS = [
    ("stop_loss_pct", 0.05, 0.01, 0.20), ("take_profit_pct", 0.10, 0.05, 0.50),
    ("trailing_stop_offset", 0.02, 0.005, 0.05), ("holding_period_days", 20, 1, 60),
]
LONG = "Traceback (most recent call last):\n" + "  File \"strategy.py\", line 7, in <module>\n" * 200


class ExitMutator:
    """Changes one value at a time, and logs it."""

    def __init__(self, log, seed):
        self.log, self.random, self.count = log, random.Random(seed), 0
        self.values = {name: start for name, start, _, _ in PARAMETERS}

    def propose(self, name, lower, upper):
        """A value near the present one, and whether it was brought back into its bounds."""
        old = self.values[name]
        new = abs(old * (1 + self.random.gauss(0, 0.3)))
        bounded = min(max(new, lower), upper)
        return (round(bounded) if isinstance(old, int) else bounded), bounded != new

    def mutate(self):
        """One attempt, as it was logged."""
        self.count += 1
        name, start, lower, upper = self.random.choice(PARAMETERS)
        began = time.perf_counter()
        new, clamped = self.propose(name, lower, upper)
        now = datetime.now()
        record = {
            "timestamp": now.isoformat(), "parameter": name, "old_value": self.values[name], "new_value": new,
            "clamped": clamped, "success": True, "validation_passed": True, "error": None,
            "mutation_id": f"exit_mut_{self.count:06}", "epoch": now.timestamp(),
        }
        self.goes_wrong(record)
        if record["success"]:
            self.values[name] = new
        if self.random.random() < 0.7:
            record["duration_ms"] = (time.perf_counter() - began) * 1000 + self.random.expovariate(0.1)
        return record

    def goes_wrong(self, record):
        """What may come of an attempt, and what older versions wrote of it."""
        chance = self.random.random()
        if chance < 0.10:
            record |= {"success": False, "validation_passed": False, "error": f"invalid source: {LONG}"}
        elif chance < 0.18:
            record |= {"success": False, "error": "backtest failed: caf\u00e9 \U0001f4c9 \udce9"}
        elif chance < 0.24:
            record |= {"success": False, "new_value": record["old_value"], "validation_passed": False}
        elif chance < 0.28:
            record |= {"success": False, "new_value": None, "validation_passed": False, "error": "parameter not found"}
        elif chance < 0.31:
            record |= {"success": False, "new_value": self.random.choice([float("nan"), float("inf"), -float("inf")])}
        elif chance < 0.33:
            record |= {"validation_passed": False}
        elif chance < 0.37:
            del record["clamped"], record["error"], record["mutation_id"]
        elif chance < 0.40:
            record |= {"generation": self.count, "context": {"host": "night{1}", "weights": [0.5, float("nan")]}}

    def run(self, count, pause, halves):
        """So many attempts."""
        for _ in range(count):
            record = self.mutate()
            if halves and self.count % halves == 0:
                self.in_halves(json.dumps(record), pause or 0.01)
            else:
                self.log.info(json.dumps(record))
            time.sleep(pause)

    def in_halves(self, line, pause):
        """Such as a full buffer makes of a line: a write, and the rest some time later."""
        stream = self.log.handlers[0].stream
        cut = self.random.randrange(1, len(line))
        for part in (line[:cut], line[cut:] + "\n"):
            stream.write(part)
            stream.flush()
            time.sleep(pause)

    def die(self):
        """In the middle of a line, as kill -9 or a power cut may do it."""
        line = json.dumps(self.mutate())
        stream = self.log.handlers[0].stream
        stream.write(line[:self.random.randrange(1, len(line))])
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)


def main():
    """What the command line asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("log")
    parser.add_argument("seed", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--pause", type=float, default=0)
    parser.add_argument("--rotate", type=int, default=0)
    parser.add_argument("--halves", type=int, default=0)
    parser.add_argument("--dies", action="store_true")
    asked = parser.parse_args()
    log = logging.getLogger("exit_mutations")
    log.setLevel(logging.INFO)
    log.addHandler(
        logging.handlers.RotatingFileHandler(asked.log, maxBytes=asked.rotate, backupCount=99) if asked.rotate
        else logging.FileHandler(asked.log)
    )
    mutator = ExitMutator(log, asked.seed)
    mutator.run(asked.count, asked.pause, asked.halves)
    if asked.dies:
        mutator.die()


if __name__ == "__main__":
    main()
