"""Evaluates on Ray: a stream worker for mutation-agent that makes a task of each request and answers as tasks end:
    ray_adapter.py MODULE.py [NAME=JSON ...]

MODULE has a function evaluate(path, seed) that gives a number or {"fitness": ..., "metrics": {...}}; it is read by its path
where a task runs, and the candidate's text goes with the task. What follows are arguments of ray.init, such as num_cpus=8
or 'address="ray://head:10001"'. What a lost worker had, Ray does again, three times; then it is an error.
"""

import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

import ray


def judge(module, name, text, seed):
    """A candidate's fitness; runs wherever Ray likes."""
    sys.path[:] = dict.fromkeys([str(module.parent), *sys.path])
    with tempfile.TemporaryDirectory() as own:
        path = Path(own, name)
        path.write_text(text, encoding="utf-8")
        return importlib.import_module(module.stem).evaluate(str(path), seed)


def main(module, *options):
    """Answers until standard input ends."""
    # Standard output is for answers alone, whoever else prints.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    module = Path(module).resolve()
    options = {name: json.loads(value) for name, value in (option.split("=", 1) for option in options)}
    ray.init(**{"include_dashboard": False, "log_to_driver": False} | options)
    task = ray.remote(max_retries=3)(judge)
    # What comes beyond so many tasks waits in the pipe.
    free, one_at_a_time = threading.Semaphore(1000), threading.Lock()

    def answer(request, future):
        try:
            found = future.result()
            line = json.dumps({"id": request["id"]} | (found if isinstance(found, dict) else {"fitness": found}), allow_nan=False)
        except Exception as error:
            error = getattr(error, "cause", error)  # Ray's own text is a page.
            line = json.dumps({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
        with one_at_a_time:
            print(line, file=answers, flush=True)
        free.release()

    for request in map(json.loads, sys.stdin):
        free.acquire()
        path = Path(request["candidate"])
        done = task.remote(module, path.name, path.read_text(encoding="utf-8"), request["seed"])
        done.future().add_done_callback(lambda future, request=request: answer(request, future))


if __name__ == "__main__":
    main(*sys.argv[1:])
