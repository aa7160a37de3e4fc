#!/usr/bin/env python3
"""The end of a night in the middle of its evaluations: SIGKILL at many moments, SIGTERM, the deadline.

What was recorded is never evaluated again, what was in flight is all that is lost, and nothing of an evaluator lives on.
"""

import os
import signal
import time
from pathlib import Path

from lib import equal, wait_for
from nights import EVALUATED, PROCESS, Nights

WORKERS = 4
# Long enough for a signal to come in between.
SLOW = "sleep 0.02"
# It does not listen, and neither does its child.
STUBBORN = "trap '' TERM HUP INT; sleep 1000 & sleep 1000"
# It ends its evaluator's whole family within this, and seals.
SHUTDOWN = 10
# All that it is asked at once.
STREAM = """
import json, os, signal, sys, threading
signal.signal(signal.SIGTERM, signal.ON_TERM)
one_at_a_time = threading.Lock()
def say(line, **where):
    with one_at_a_time:
        print(line, **where, flush=True)
def judge(job):
    values = job["parameters"]
    note = f"{os.environ['BATCH_ID']} {job['id']} {job['strategy']} {values['stop_loss_pct']} {values['take_profit_pct']} {job['seed']}"
    say(f"start {note}", file=open("calls.log", "a"))
    if not job["id"].startswith("exit_mut_000000"):
        os.system("sleep HOW")
    say(json.dumps({"id": job["id"], "fitness": -values["stop_loss_pct"]}))
    say(f"end {note}", file=open("calls.log", "a"))
for line in sys.stdin:
    threading.Thread(target=judge, args=(json.loads(line),), daemon=True).start()
"""


def judged(records):
    """Of records, those that were evaluated."""
    return [record for record in records if record["outcome"] in EVALUATED]


def candidates(house, records):
    """By id: what the evaluator was given, by its own log, for these records."""
    calls = {(call.batch, call.mutation): (call.strategy, call.values) for call in house.calls()}
    return {calls[record["batch_id"], record["mutation_id"]] for record in judged(records)}


def killed(house, starts):
    """SIGKILL once so many evaluations have begun; the records that are on disk, or None if the night was over."""
    before, records = len(house.calls()) + len(house.baselines()), len(judged(house.records()))
    done, ended = len(house.calls()), len(house.calls("end"))
    process = house.start("run")
    house.wait_for_starts(before + starts, process)
    process.kill()
    process.communicate()
    if process.returncode == 0:
        return None
    wait_for("the end of all evaluators", lambda: not house.alive())
    survivors = house.open_records()
    began, finished, known = len(house.calls()) - done, len(house.calls("end")) - ended, len(judged(survivors))
    assert began - known <= WORKERS, f"{began} evaluations began, and {known} are on record"
    assert finished - known <= WORKERS, f"{finished} evaluations ended, and {known} are on record"
    return survivors


def a_kill_loses_what_is_in_flight_and_no_more(house, moments):
    """At many moments of a night, by the evaluations that have begun; and the next one goes on from there."""
    house("run")
    kills = 0
    for starts in moments:
        sealed = house.records()
        best = house.best()
        survivors = killed(house, starts)
        if survivors is None:
            continue
        kills += 1
        known = candidates(house, sealed + survivors)
        calls = len(house.calls())
        batch = {call.batch for call in house.calls()} | {call.batch for call in house.baselines()}
        house.recover()
        manifest, records = house.newest()
        equal("status", manifest["status"], "crashed")
        equal("records", records, survivors)
        equal("batch", manifest["batch_id"], max(batch))
        expected = [best, *(record["fitness"] for record in records if record["success"])]
        # Killed while sources are judged, it has not begun to search.
        equal("the best after a kill", house.best(), max(expected))
        house.set(batch="rounds = 1\nmutations_per_round = 8")
        house("run")
        house.set(batch="rounds = 4\nmutations_per_round = 8")
        again = {(call.strategy, call.values) for call in house.calls()[calls:]}
        equal("evaluated again", again & known, set())
        house.holds()
    assert kills >= len(moments) * 2 // 3, f"only {kills} nights were killed"
    lost = len(house.calls()) - len(judged(house.records()))
    assert house.searches()["strategies/a.py"]["population"][0]["lineage"], "no survivor"
    return f"{kills} kills lost {lost} evaluations in flight, and nothing else"


def asked_to_stop(house, sent, code, what):
    """A signal in the middle: sealed, in time, and nothing left."""
    process = house.start("run")
    wait_for(f"evaluations of {what}", lambda: house.calls())
    began = time.monotonic()
    process.send_signal(sent)
    process.communicate(timeout=60)
    took = time.monotonic() - began
    equal(f"{what}: exit code", process.returncode, code)
    assert took < SHUTDOWN, f"{what}: {took:.1f} s"
    house.is_calm()
    manifest, records = house.newest()
    told = manifest["status"], manifest["ended_by"], manifest["exit_code"], manifest["records"]
    equal(what, told, ("interrupted", "signal", code, len(records)))
    assert len(house.calls()) - len(judged(records)) <= WORKERS, what
    house.holds()
    return took


def a_signal_ends_the_evaluators():
    """Those that see to it, those that do not listen, those that are asked line by line, and before the first round."""
    longest = 0
    limits = f'shutdown_timeout = "{SHUTDOWN}s"\nrounds = 50\nmutations_per_round = 8'
    for what, more in {
        "an evaluator": "sleep 0.05", "a sleeping one": "sleep 1000", "a stubborn one": STUBBORN,
        "one that went into a session of its own": "setsid sh -c \"trap '' TERM; sleep 1000\"",
    }.items():
        for sent, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            more_than_once = f"[ $MUTATION_ID = exit_mut_000000 ] || {{ {more}; }}"
            house = Nights(more=more_than_once, batch=limits, evaluator=f"workers = {WORKERS}")
            longest = max(longest, asked_to_stop(house, sent, code, what))
    house = Nights(["python3", "stream.py"], batch=limits, evaluator=f'workers = {WORKERS}\nmode = "stream"')
    (house.folder / "stream.py").write_text(STREAM.replace("HOW", "1000").replace("ON_TERM", "SIG_IGN"))
    longest = max(longest, asked_to_stop(house, signal.SIGTERM, 143, "a stubborn stream"))

    house = Nights(more=STUBBORN, batch=limits)
    process = house.start("run")
    house.wait_for_starts(1, process)
    process.terminate()
    process.communicate(timeout=SHUTDOWN)
    equal("exit code while sources are judged", process.returncode, 143)
    manifest, records = house.newest()
    equal("while sources are judged", (manifest["status"], records), ("interrupted", []))
    house.holds()
    return f"evaluators ended {longest:.1f} s after a signal at the latest"


def a_second_signal_leaves_at_once():
    """And takes the evaluators along; the next start seals."""
    house = Nights(more=f"[ $MUTATION_ID = exit_mut_000000 ] || {{ {STUBBORN}; }}", evaluator=f"workers = {WORKERS}")
    process = house.start("run")
    wait_for("evaluations", lambda: len(house.calls()) >= WORKERS)
    process.terminate()
    process.terminate()
    process.communicate(timeout=20)
    equal("exit code", process.returncode, 143)
    wait_for("the end of all evaluators", lambda: not house.alive())
    house.judged_by()
    house("run")
    house.holds()
    return "a second signal takes the evaluators along"


def hosts_that_are_killed_cost_what_they_have():
    """The agent holds each evaluator by a process of its own; one that is killed takes its evaluation along. Where all of
    them are killed with the agent, as `pkill -9` by name does, the next night ends what they left."""
    house = Nights(more="[ $MUTATION_ID = exit_mut_000000 ] || [ -e go ] || sleep 1000", evaluator="workers = 2")

    def killed_hosts(agent_too):
        (house.folder / "go").unlink(missing_ok=True)
        before, process = len(house.calls()), house.start("run")
        wait_for("two evaluations", lambda: len(house.calls()) == before + 2)
        hosts = children(process.pid)
        equal("hosts", len(hosts), 2)
        (house.folder / "go").touch()
        if agent_too:
            # They stand still, so that none can end its evaluator when it sees the agent gone.
            for host in hosts:
                os.kill(host, signal.SIGSTOP)
            process.kill()
        for host in hosts:
            os.kill(host, signal.SIGKILL)
        process.communicate(timeout=60)
        return process.returncode

    equal("exit code without its hosts", killed_hosts(False), 0)
    house.is_calm()
    failed = [record for record in house.newest()[1] if record["outcome"] == "evaluator_failed"]
    equal("failed", len(failed), 2)
    assert all("host ended: killed by signal 9" in record["error"] for record in failed), failed
    house.holds()

    equal("exit code", killed_hosts(True), -9)
    assert house.alive(), "nothing was left to be ended"
    done = house("run")
    assert "were still running" in done.stderr, done.stderr
    house.holds()
    return "killed hosts cost an evaluation each, and what is left of them goes"


def children(pid):
    """Of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = stat.read_text().rsplit(")", 1)[1].split()[1]
        except OSError:
            continue
        if parent == str(pid):
            found.append(int(stat.parent.name))
    return found


def a_deadline_ends_the_evaluators():
    """Completed with a success on record, failed without."""
    for more, status, code in (("sleep 0.05", "completed", 0), (STUBBORN, "failed", 1)):
        house = Nights(
            more=f"[ $MUTATION_ID = exit_mut_000000 ] || {{ {more}; }}", evaluator=f"workers = {WORKERS}",
            batch='deadline = "1s"\nrounds = 1000\nmutations_per_round = 8',
        )
        began = time.monotonic()
        house("run", exits=code)
        assert 1 <= time.monotonic() - began < 12
        house.is_calm()
        manifest, records = house.newest()
        equal("the deadline", (manifest["status"], manifest["ended_by"]), (status, "deadline"))
        equal("successes", any(record["success"] for record in records), code == 0)
        assert len(house.calls()) - len(judged(records)) <= WORKERS
        house.holds()
    return "a deadline completes what has a success, and fails what has none"


def streams_are_killed_too():
    """Workers that were started once, and one that has as many in flight as they have together."""
    told = []
    for evaluator, moments in ((f"workers = {WORKERS}", (1, 5, 9, 14, 19, 24)), (f"in_flight = {WORKERS}", (5, 14, 24))):
        house = Nights(
            ["python3", "stream.py"], evaluator=f'{evaluator}\nmode = "stream"',
            batch="rounds = 4\nmutations_per_round = 8",
        )
        (house.folder / "stream.py").write_text(STREAM.replace("HOW", "0.02").replace("ON_TERM", "SIG_DFL"))
        told.append(f"{evaluator}: {a_kill_loses_what_is_in_flight_and_no_more(house, moments)}")
    return "streams: " + "; ".join(told)


def processes_are_killed():
    """Those that are started for each candidate."""
    house = Nights(PROCESS, more=SLOW, evaluator=f"workers = {WORKERS}", batch="rounds = 4\nmutations_per_round = 8")
    return "processes: " + a_kill_loses_what_is_in_flight_and_no_more(house, (1, 2, 3, 5, 8, 11, 14, 18, 22, 25, 30))


if __name__ == "__main__":
    only = os.environ.get("ONLY", "")
    for fact in [
        processes_are_killed, streams_are_killed_too, a_signal_ends_the_evaluators, a_second_signal_leaves_at_once,
        hosts_that_are_killed_cost_what_they_have, a_deadline_ends_the_evaluators,
    ]:
        if only in fact.__name__:
            began = time.monotonic()
            print(f"{fact()} ({time.monotonic() - began:.1f} s)", flush=True)
    print("an end in the middle costs what is in flight, and leaves no process behind")
