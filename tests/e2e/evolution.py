#!/usr/bin/env python3
"""Nights whose candidates are judged: the same search for any number of workers, nothing evaluated twice, the best never
lost, whatever the evaluator does."""

import base64
import json
import os
import time
from collections import Counter

from lib import Pushgateway, equal
from nights import BASELINE, EVALUATED, Nights, shape

# It depends on the candidate how long its evaluation takes, so that they end in another order than they began.
JITTER = "sleep 0.0$((SEED % 8))"


def many_workers_search_as_one_does():
    """The records as a set, ids included, and the state's searches, over two nights."""
    found = {}
    for workers in (1, 2, 8):
        house = Nights(more=JITTER, strategies="ab", evaluator=f"workers = {workers}")
        house("run")
        house("run")
        order = [[record["mutation_id"] for record in house.records() if record["batch_id"] == batch]
                 for batch in sorted({record["batch_id"] for record in house.records()})]
        records = sorted(house.without_names([shape(record), record["batch_id"]]) for record in house.records())
        found[workers] = records, house.without_names(house.state()["searches"])
        equal("in order", order == [sorted(ids) for ids in order], workers == 1)
        house.holds()
    equal("records and searches of 2 workers", found[2], found[1])
    equal("records and searches of 8 workers", found[8], found[1])
    return f"{len(found[1][0])} records are the same for 1, 2 and 8 workers"


def nothing_is_evaluated_twice_and_the_best_stays():
    """Over five nights, with seeds of their own, for both directions."""
    total = 0
    for direction, better in (("maximize", max), ("minimize", min)):
        house = Nights(
            strategies="ab", batch="rounds = 3\nmutations_per_round = 16",
            evaluator=f'workers = 4\ndirection = "{direction}"', evolution="parameters_per_mutation = 2",
        )
        best, first = {}, {}
        for _ in range(5):
            house("run")
            manifest, records = house.newest()
            for search in manifest["evolution"]["searches"]:
                first.setdefault(search["name"], search["baseline"])
            for name, search in house.searches().items():
                now = search["population"][0]["fitness"]
                known = [first[name], *(
                    record["fitness"] for record in house.records() if record["success"] and record["strategy"] == name
                )]
                equal(f"best of {name}", now, better(known))
                shown = house.shown().value("exit_mutation_best_fitness", strategy=name)
                equal("the best candidate that is shown", shown, better(known[1:]))
                equal(f"best of {name}, before and now", better(best.get(name, now), now), now)
                best[name] = now
        tried = Counter((call.strategy, call.values) for call in house.calls())
        equal("evaluated twice", [values for values, times in tried.items() if times > 1], [])
        equal("the source's values tried again", [key for key in tried if key[1] == (0.1, 0.25)], [])
        judged = [record for record in house.records() if record["outcome"] in EVALUATED]
        equal("evaluations", len(judged), len(house.calls()))
        # Rounding leaves few values near the end of the search, so that some must have come up again.
        total += len(judged)
        assert all(best[name] != first[name] for name in best), f"no better than the source: {best}"
        house.holds()
    return f"{total} evaluations over ten nights, none of them twice"


def a_small_memory_forgets():
    """The control of the fact above: without a memory, the same values are evaluated again."""
    house = Nights(evolution="memory = 0\nsurvivors = 1", batch="rounds = 4\nmutations_per_round = 60\nseed = 7",
                   output='keep = 0\n[[parameter]]\nname = "stop_loss_pct"\nmin = 0.01\nmax = 0.05\nstep = 0.01\n'
                          '[[parameter]]\nname = "take_profit_pct"\nmin = 0.2\nmax = 0.4\nstep = 0.05')
    house.source("a").write_text("stop_loss_pct = 0.02\ntake_profit_pct = 0.25\n")
    house("run")
    tried = Counter(call.values for call in house.calls())
    assert max(tried.values()) > 1, "nothing came up again"
    house.set(evolution="memory = 1000\nsurvivors = 1")
    before = len(house.calls())
    house("run")
    tried = Counter(call.values for call in house.calls()[before:])
    equal("evaluated twice in a night with a memory", [values for values, times in tried.items() if times > 1], [])
    duplicates = sum(record["outcome"] == "duplicate" for record in house.newest()[1])
    assert duplicates > 0, "no attempt was a duplicate, though there are 25 value sets"
    house.holds()
    return f"{duplicates} duplicates told, and none evaluated"


BROKEN = {
    "exit code 1": (["sh", "-c", "echo no prices today >&2; exit 1", "{candidate}"], "no prices today"),
    "garbage": (["sh", "-c", "echo good", "{candidate}"], "good"),
    "silence": (["true", "{candidate}"], ""),
    "not found": (["./nowhere", "{candidate}"], "nowhere"),
    "not executable": (["./agent.toml", "{candidate}"], "agent.toml"),
    "killed": (["sh", "-c", "kill -9 $$", "{candidate}"], "SIGKILL"),
    "hanging": (["sh", "-c", "sleep 1000", "{candidate}"], "no answer within 400ms"),
    "a stream that says nothing": (["sleep", "1000"], "no answer within 400ms"),
    "a stream that ends": (["sh", "-c", "exit 3"], "3"),
}


def a_broken_evaluator_ends_the_batch_at_once():
    """One message, exit code 1, no attempt."""
    for how, (command, words) in BROKEN.items():
        mode = "process" if "{candidate}" in command else "stream"
        house = Nights(command, strategies="ab", evaluator=f'timeout = "400ms"\nmode = "{mode}"')
        began = time.monotonic()
        done = house("--log-format", "json", "run", exits=1)
        assert time.monotonic() - began < 20, how
        errors = [line for line in map(json.loads, done.stderr.splitlines()) if line["level"] == "ERROR"]
        equal(f"{how}: messages", len(errors), 1)
        manifest, records = house.newest()
        told = manifest["status"], manifest["ended_by"], manifest["records"], records
        equal(how, told, ("failed", "evaluator", 0, []))
        assert "evaluator" in manifest["error"] and words in manifest["error"], f"{how}: {manifest['error']}"
        assert manifest["error"] in done.stderr.replace('\\"', '"'), done.stderr
        house.holds()
        # It is mended, and the next night is as any other.
        house.judged_by()
        house.set(evaluator="workers = 4")
        house("run")
        house.holds()
    return f"{len(BROKEN)} ways to be broken"


def an_evaluator_that_fails_for_one_strategy_leaves_that_one_out():
    """And what was known of it stays."""
    house = Nights(strategies="ab")
    house("run")
    before = house.best("b")
    house.judged_by(more="case $STRATEGY in */b.py) exit 1;; esac")
    done = house("run")
    assert "strategies/b.py" in done.stderr, done.stderr
    manifest, records = house.newest()
    equal("strategies", {record["strategy"] for record in records}, {"strategies/a.py"})
    equal("status", manifest["status"], "completed")
    # The turns of the other one are nobody's, as where it is another shard's.
    equal("attempts", len(records), 15)
    house.holds()
    house.judged_by()
    house("run")
    equal("strategies", len({record["strategy"] for record in house.newest()[1]}), 2)
    assert house.best("b") >= before, "what was known of b is gone"
    assert any("/" in (record["parent"] or "") for record in house.newest()[1] if record["strategy"].endswith("b.py"))
    house.holds()
    return "one of two strategies left out for a night"


def remembered(search):
    """How many value sets a search remembers."""
    text = search["memory"]
    return len(base64.b64decode(text + "=" * (-len(text) % 4))) // 8


def other_data_mean_another_fitness():
    """Survivors are judged again, and what was tried may be tried again."""
    house = Nights(evolution="survivors = 3")
    house("run")
    before = house.searches()["strategies/a.py"]
    equal("remembered after a night", remembered(before), 1 + len(house.calls()))
    house.judged_by(offset="5")
    house("run")
    manifest, _ = house.newest()
    batch = manifest["batch_id"]
    stale = [one for one in before["population"] if one["lineage"]]
    again = [call.values for call in house.baselines(batch)]
    expected = [(0.1, 0.25), *(tuple(one["values"][name] for name in sorted(one["values"])) for one in stale)]
    equal("judged again", sorted(again), sorted(expected))
    begun = manifest["evolution"]["searches"][0]
    for one in begun["population"]:
        old = [other for other in before["population"] if other["values"] == one["values"]]
        if old:
            equal("fitness by the other data", round(one["fitness"] - old[0]["fitness"], 9), 5)
    now = house.searches()["strategies/a.py"]
    equal("remembered", remembered(now), len(expected) + len(house.calls(batch=batch)))
    house.holds()
    # The same data once more: nobody is judged again but the source.
    house("run")
    equal("judged again", len(house.baselines(house.newest()[0]["batch_id"])), 1)
    house.holds()
    return f"{len(stale)} survivors judged again by other data"


def one_candidates_failure_is_its_own():
    """Failures, garbage and hangs are outcomes of a record, and metrics say how many."""
    house = Nights(
        more='[ $MUTATION_ID = exit_mut_000000 ] || case $((SEED % 6)) in\n'
             '0) echo of no use >&2; exit 3 ;;\n1) echo 0.5 percent; exit ;;\n2) sleep 1000 ;;\nesac',
        evaluator='workers = 8\ntimeout = "500ms"', batch="rounds = 2\nmutations_per_round = 30\nseed = 11",
    )
    house("run")
    outcome = {0: "evaluator_failed", 1: "evaluator_output_invalid", 2: "evaluator_timeout"}
    words = {"evaluator_failed": "of no use", "evaluator_output_invalid": "0.5 percent", "evaluator_timeout": "500ms"}
    by_id = {call.mutation: outcome.get(call.seed % 6, "success") for call in house.calls()}
    records = [record for record in house.records() if record["outcome"] in EVALUATED]
    equal("outcomes", {record["mutation_id"]: record["outcome"] for record in records}, by_id)
    equal("kinds", len(set(by_id.values())), 4)
    for record in records:
        error = record["error"] or ""
        assert words.get(record["outcome"], "") in error, f"{record['outcome']}: {error}"
        equal("validated", record["validation_passed"], True)
        if record["outcome"] == "evaluator_timeout":
            assert 500 <= record["evaluation_ms"] < 5000, record
    house.holds()
    return f"{sum(kind != 'success' for kind in by_id.values())} of {len(by_id)} candidates failed on their own"


def patience_ends_a_batch():
    """After so many rounds without a better one."""
    house = Nights(more="echo 1; exit", evolution="patience = 2", batch="rounds = 50\nmutations_per_round = 4")
    house("run")
    manifest, _ = house.newest()
    told = manifest["ended_by"], manifest["status"], manifest["rounds_completed"], manifest["records"]
    equal("a plateau", told, ("patience", "completed", 2, 8))
    house.holds()
    return "a plateau ended after two rounds"


def a_search_belongs_to_the_bytes_of_its_strategy():
    """A renamed one goes on; one that was edited begins anew; a lost state takes nothing."""
    house = Nights(evolution="survivors = 2")
    house("run")
    before = house.best()
    house.source("a").rename(house.source("renamed"))
    house("run")
    assert house.best("renamed") >= before, "a new name cost the survivors"
    parents = {record["parent"] for record in house.newest()[1] if record["round"] == 1}
    assert any("/" in (parent or "") for parent in parents), parents
    assert len(house.baselines(house.newest()[0]["batch_id"])) == 1, "judged again for a name"
    house.holds()

    searches = house.state()["searches"]
    house.judged_by(["false", "{candidate}"])
    house("run", exits=1)
    house.judged_by()
    equal("searches after a night that was none", house.state()["searches"], searches)
    (house.folder / "mutation-data/state.json").unlink()
    house.recover()
    equal("searches of a lost state", house.state()["searches"], searches)
    tried = {call.values for call in house.calls()}
    began = len(house.calls())
    house("run")
    equal("tried before", {call.values for call in house.calls()[began:]} & tried, set())
    house.holds()

    path = house.source("renamed")
    path.write_text(path.read_text().replace("keep this comment", "another comment"))
    house("run")
    manifest, records = house.newest()
    equal("parents", {record["parent"] for record in records if record["round"] == 1}, {None})
    search = next(one for one in house.state()["searches"] if one["batch"] == manifest["batch_id"])
    origins = {step["born"].split("/")[0] for one in search["population"] for step in one["lineage"]}
    equal("origins", origins, {manifest["batch_id"]})
    house.holds()
    return "renamed, lost and edited"


STREAM = """
import json, math, os, sys
print("began", os.getpid(), file=open("workers.log", "a"), flush=True)
for line in sys.stdin:
    job = json.loads(line)
    values = job["parameters"]
    note = [job["id"], job["strategy"], values["stop_loss_pct"], values["take_profit_pct"], job["seed"]]
    print("start", os.environ["BATCH_ID"], *note, file=open("calls.log", "a"), flush=True)
    assert f"= {values['take_profit_pct']}" in open(job["candidate"]).read()
    if job["id"] != "exit_mut_000000" and job["seed"] % 9 == 0:
        os._exit(9)
    fitness = -math.log(values["stop_loss_pct"] / 0.03) ** 2 - math.log(values["take_profit_pct"] / 0.4) ** 2
    print(json.dumps({"id": job["id"], "fitness": fitness, "metrics": {"pid": os.getpid()}}), flush=True)
"""


def a_stream_worker_is_started_once():
    """And once more for each crash, which costs one evaluation."""
    house = Nights(["python3", "stream.py"], evaluator='workers = 3\nmode = "stream"')
    (house.folder / "stream.py").write_text(STREAM)
    house("run")
    records = [record for record in house.records() if record["outcome"] in EVALUATED]
    crashed = {call.mutation for call in house.calls() if call.seed % 9 == 0}
    failed = {record["mutation_id"] for record in records if not record["success"]}
    equal("failed", failed, crashed)
    assert crashed, "no candidate made its worker crash"
    starts = len((house.folder / "workers.log").read_text().splitlines())
    # One that crashes at its last candidate is not needed again.
    assert 3 <= starts <= 3 + len(crashed), f"{starts} starts of 3 workers with {len(crashed)} crashes"
    equal("evaluations", len(house.calls()), len(records))
    house.holds()
    return f"{len(crashed)} crashes of 3 stream workers in {len(records)} evaluations"


def a_gateway_is_told_the_same():
    """Where the lowest fitness is the best one as well."""
    gateway = Pushgateway()
    for direction, better in (("maximize", max), ("minimize", min)):
        house = Nights(evaluator=f'direction = "{direction}"', output=f"""keep = 0
            [[gateway]]
            url = "{gateway.url}"
            grouping = {{ instance = "{direction}" }}""")
        house("run")
        house("run")
        shown = gateway.exposition().value("exit_mutation_best_fitness", instance=direction)
        equal(direction, shown, better(record["fitness"] for record in house.records() if record["success"]))
        house("audit", "verify", "--gateway")
    return "a gateway shows what the audit has, for both directions"


def told_what_it_judges():
    """Id, seed and strategy as they stand in the record; the seed is the same for any number of workers."""
    house = Nights()
    house("run")
    records = {record["mutation_id"]: record for record in house.records()}
    for call in house.calls():
        record = records[call.mutation]
        equal("strategy", call.strategy, record["strategy"])
        assert record["new_value"] in call.values, f"{record} is not what was judged: {call.values}"
        assert 0 <= call.seed < 2**53
    equal("seeds", len({call.seed for call in house.calls()}), len(house.calls()))
    equal("the source is judged as", {call.mutation for call in house.baselines()}, {BASELINE})
    return "each evaluation is told its own id and seed"


if __name__ == "__main__":
    only = os.environ.get("ONLY", "")
    for fact in [
        many_workers_search_as_one_does, nothing_is_evaluated_twice_and_the_best_stays, a_small_memory_forgets,
        a_broken_evaluator_ends_the_batch_at_once, an_evaluator_that_fails_for_one_strategy_leaves_that_one_out,
        other_data_mean_another_fitness, one_candidates_failure_is_its_own, patience_ends_a_batch,
        a_search_belongs_to_the_bytes_of_its_strategy, a_stream_worker_is_started_once, a_gateway_is_told_the_same,
        told_what_it_judges,
    ]:
        if only in fact.__name__:
            began = time.monotonic()
            print(f"{fact()} ({time.monotonic() - began:.1f} s)", flush=True)
    print("one search for any number of workers, nothing evaluated twice, the best never lost")
