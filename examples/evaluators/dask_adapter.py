"""Evaluates on Dask: a stream worker for mutation-agent that makes a task of each request and answers as tasks end:
    dask_adapter.py MODULE.py [NAME=JSON ...]

MODULE has a function evaluate(path, seed) that gives a number or {"fitness": ..., "metrics": {...}}; it is read by its path
where a task runs, and the candidate's text goes with the task. What follows are arguments of distributed.Client, such as
n_workers=8 or 'address="tcp://scheduler:8786"'. What a lost worker had, Dask does again, three times; then it is an error.
"""

import importlib
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from distributed import Client


def judge(module, name, text, seed):
    """A candidate's fitness; runs wherever Dask likes."""
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
    client = Client(**options or {"dashboard_address": None})
    # What comes beyond so many tasks waits in the pipe.
    free, one_at_a_time = threading.Semaphore(1000), threading.Lock()

    def answer(request, future):
        try:
            found = future.result()
            line = json.dumps({"id": request["id"]} | (found if isinstance(found, dict) else {"fitness": found}), allow_nan=False)
        except Exception as error:
            line = json.dumps({"id": request["id"], "error": f"{type(error).__name__}: {error}"})
        with one_at_a_time:
            print(line, file=answers, flush=True)
        free.release()

    for request in map(json.loads, sys.stdin):
        free.acquire()
        path = Path(request["candidate"])
        # Not pure: the same text may be judged by another seed, or for another request.
        text = path.read_text(encoding="utf-8")
        future = client.submit(judge, module, path.name, text, request["seed"], pure=False)
        future.add_done_callback(lambda future, request=request: answer(request, future))


if __name__ == "__main__":
    main(*sys.argv[1:])
