#!/usr/bin/env python3
"""A real Prometheus that takes remote write, and no Pushgateway between it and the agent.

At each push it has what a fold over the audit has, at the time of that push; times rise, over restarts, kills and a clock
that is set back; what is sent is noted on disk before. At the end of a batch all series end, after a kill they do not.
"""

import atexit
import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from lib import ENVIRONMENT, ROOT, Agent, Exposition, Pushgateway, close, end, equal, free_port, get, holds_to, temporary_folder, wait_for

[FAKETIME] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
PASSWORD = "hunter2 é:+%"
TOTAL = "exit_mutations_total"


class Prometheus:
    """A real one that scrapes nothing."""

    def __init__(self, *arguments):
        self.folder, self.port, self.arguments = temporary_folder(), free_port(), arguments
        (self.folder / "prometheus.yml").write_text("global: {}\n")
        self.start()

    def start(self):
        """Starts it, or starts it again with what it had."""
        with (self.folder / "prometheus.log").open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.folder / 'prometheus.yml'}",
                 f"--storage.tsdb.path={self.folder / 'data'}", f"--web.listen-address=127.0.0.1:{self.port}",
                 *self.arguments],
                stdout=log, stderr=log, env=ENVIRONMENT,
            )
        atexit.register(end, self.process)
        wait_for("Prometheus", self.is_ready)

    def is_ready(self):
        """Whether it answers."""
        assert self.process.poll() is None, (self.folder / "prometheus.log").read_text()
        try:
            return get(f"http://127.0.0.1:{self.port}/-/ready")
        except OSError:
            return False

    @property
    def url(self):
        """Where it takes remote write."""
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def ask(self, query, later=0):
        """The rows that a query has, so many seconds from now."""
        parameters = urllib.parse.urlencode({"query": query, "time": time.time() + later})
        text = get(f"http://127.0.0.1:{self.port}/api/v1/query?{parameters}")
        return json.loads(text)["data"]["result"]

    def value(self, query):
        """Of the only row; `None` where there is none."""
        rows = self.ask(query)
        assert len(rows) <= 1, rows
        return float(rows[0]["value"][1]) if rows else None

    def pushes(self, instance):
        """What it has of an agent: an exposition by its time in milliseconds, oldest first. Two days in the past and,
        since a clock may have been wrong, one in the future."""
        found = {}
        window = f'{{instance="{instance}"}}[2d] @ {time.time() + 60:.3f}'
        for row in sorted(self.ask(window), key=lambda row: float(row["metric"].get("le", 0))):
            name = row["metric"].pop("__name__")
            equal(f"the job of {name}", row["metric"]["job"], "exit_evolution")
            times = [when for when, _ in row["values"]]
            equal(f"the times of {row['metric']} rise", times, sorted(set(times)))
            for when, value in row["values"]:
                at = round(when * 1000)
                found.setdefault(at, Exposition("")).samples.append((name, row["metric"], float(value)))
        return dict(sorted(found.items()))


class Door:
    """What stands before a Prometheus: it wants the password, and keeps what the state on disk says at each push."""

    def __init__(self, prometheus, agent_folder):
        self.prometheus, self.state = prometheus, agent_folder / "mutation-data/state.json"
        self.marks, self.answers = [], []
        door = self

        class Handler(BaseHTTPRequestHandler):
            """One request, handed on."""
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, text = door.hand_on(self.headers, body)
                if status is None:
                    # Lost on the way back.
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api/v1/write"
        # What becomes of the next requests: a status, "lost" after it arrived, "kill" by then, or handed on as it is.
        self.script = []
        # Whom "kill" ends.
        self.victim = None

    def hand_on(self, headers, body):
        """The answer to a push."""
        if headers["Authorization"] != "Basic " + base64.b64encode(f"night:{PASSWORD}".encode()).decode():
            return 401, b"who are you?"
        is_question = len(body) == 1
        if not is_question:
            self.marks.append(mark(self.state))
        step = self.script.pop(0) if self.script and not is_question else "on"
        if isinstance(step, int):
            self.answers.append(step)
            return step, b"not now"
        request = urllib.request.Request(self.prometheus.url, data=body, headers=dict(headers), method="POST")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                answer = response.status, response.read()
        except urllib.error.HTTPError as error:
            answer = error.code, error.read()
        if not is_question:
            self.answers.append(answer[0])
        if step == "kill":
            wait_for("who is to be killed", lambda: self.victim).kill()
        return (None, b"") if step in ("lost", "kill") else answer


def mark(state):
    """The newest time in a state, in milliseconds."""
    text = json.loads(state.read_text())["gateways"]["prometheus"]["newest_sample"]
    return milliseconds(text)


def milliseconds(text):
    """Of a timestamp in a file of the agent's."""
    return round(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)


def config(url, instance, rounds=60, mutations=100, more="", others="", patience="5s"):
    """An agent.toml that writes to `url`."""
    return f"""
        [batch]
        rounds = {rounds}
        mutations_per_round = {mutations}
        [strategies]
        include = ["examples/strategies/*.py"]
        [[gateway]]
        name = "prometheus"
        url = "{url}"
        format = "remote_write"
        grouping = {{ instance = "{instance}", none = "" }}
        {more}
        {others}
        [push]
        interval = "100ms"
        attempt_timeout = "{patience}"
        deadline = "{patience}"
        retry = {{ initial = "50ms", max = "200ms", multiplier = 2.0 }}
    """


def holds(pushes, records):
    """Each push has the fold over the records that were there by then; the last one has all."""
    counts = [int(shown.value(TOTAL)) for shown in pushes.values()]
    equal("the counts rise", counts, sorted(counts))
    equal("the last push has all", counts[-1], len(records))
    for shown, count in zip(pushes.values(), counts):
        holds_to(shown, records[:count])


def names(shown):
    """The series of an exposition."""
    return {(name, tuple(sorted(labels.items()))) for name, labels, _ in shown.samples}


def alerts(later=0):
    """The alerts of docs/METRICS.md that would fire so many seconds from now."""
    return {name for name, text in ALERTS.items() if prometheus.ask(text, later)}


def rows_of(prometheus, instance):
    """How many series there are now."""
    return len(prometheus.ask(f'{{instance="{instance}"}}'))


prometheus, gateway = Prometheus("--web.enable-remote-write-receiver"), Pushgateway()
agent = Agent("")
door = Door(prometheus, agent.folder)
(agent.folder / "password").write_text(f"{PASSWORD}\n")
LOGIN = 'basic = { user = "night", password_file = "password" }'
BESIDE = f'[[gateway]]\nname = "beside"\nurl = "{gateway.url}"\ngrouping = {{ instance = "night" }}'
agent.configure(config(door.url, "night", more=LOGIN, others=BESIDE))

# To ask whether it is there writes nothing.
said = agent("check", "--gateway").stdout
assert f'{door.url} {{job="exit_evolution",instance="night"}}  ready' in said, said
equal("pushes that were handed on", door.answers, [])
equal("series after the question", prometheus.ask('{__name__=~".+"}'), [])

# Two batches, by two processes: one ends by itself, the other is stopped while it is being watched.
ends = []
for night, rounds in enumerate((60, 1000000), 1):
    before = prometheus.pushes("night")
    process = agent.start("run", "--rounds", rounds)
    if night == 2:
        wait_for("pushes while it runs", lambda: len(prometheus.pushes("night")) > len(before) + 3)
        assert time.time() - prometheus.value("timestamp(mutation_batch_in_progress)") < 10
        process.terminate()
    said = process.communicate(timeout=60)[1]
    equal(f"exit code\n{said}", process.returncode, [0, 143][night - 1])
    equal("series that are still there", rows_of(prometheus, "night"), 0)
    pushes = prometheus.pushes("night")
    new = [at for at in pushes if at not in before]
    assert len(new) >= 2 and min(new) > max(before, default=0), (new, list(before))
    manifest = agent.manifest(agent.batches()[-1])
    started, ended = milliseconds(manifest["started"]), milliseconds(manifest["ended"])
    assert started <= min(new) and ended <= max(new) <= time.time() * 1000, (manifest, new)
    assert all(at <= ended for at in new[:-1]), (new, ended)
    ends.append(max(new))
holds(pushes, agent.records())
last = pushes[ends[-1]]
equal("batches", last.value("mutation_batches_total", status="completed"), 1)
equal("batches that were stopped", last.value("mutation_batches_total", status="interrupted"), 1)
rate = [value for name, _, value in pushes[min(pushes)].samples if name == "exit_mutation_success_rate"]
assert len(rate) == 1 and rate[0] != rate[0], f"before the first attempt the rate is NaN, and not stale: {rate}"
# What is on disk before a push arrives is the time of that push; of the last one, the time at which its series end.
stale = {at: at + 1 for at in ends}
equal("the times on disk", sorted(set(door.marks)), [stale.get(at, at) for at in pushes])
# The same series as a Pushgateway shows.
shown = gateway.exposition()
mine = [(name, labels, value) for name, labels, value in shown.samples if labels.get("job") == "exit_evolution"]
shown.samples = [one for one in mine if not one[0].startswith("push_")]
equal("series beside a Pushgateway", names(last), names(shown))
said = agent("audit", "verify", "--gateway").stdout
assert "gateway prometheus: not compared: what was written by remote write is not asked for again\n" in said, said

# As docs/METRICS.md reads it, query by query. The first push of all has 0, so nothing is missed.
SECTION = (ROOT / "docs/METRICS.md").read_text().split("\n## Remote write\n")[1].split("\n## ")[0]
QUERIES = dict(re.findall(r"^\| ([^|]+) \| `(.+)` \|$", SECTION, re.MULTILINE))
ALERTS = dict(re.findall(r"^- alert: (\w+)\n  expr: (.+)$", SECTION, re.MULTILINE))
equal("queries and alerts that are documented", [len(QUERIES), len(ALERTS)], [6, 4])
equal("the newest total", prometheus.value(QUERIES["the newest total"]), len(agent.records()))
equal("to the digit", prometheus.value(QUERIES["the same to the digit"]), len(agent.records()))
close("nearly", prometheus.value(QUERIES["mutations of a day, nearly (it extrapolates)"]), len(agent.records()), 0.5)
close("the last end", prometheus.value(QUERIES["when the last batch ended"]), ended / 1000, 1e-9)
equal("now", prometheus.value(QUERIES["series that are there now"]), None)
equal("now", prometheus.value(QUERIES["when a running batch pushed last"]), None)
equal("alerts", alerts(), set())

# A busy door is tried again. An answer that is lost: what is sent again is refused, since it is there.
for script, answers in ([503, "on"], [503, 204]), (["lost", "on"], [204, 400]):
    door.script, door.answers = list(script), []
    count = len(prometheus.pushes("night"))
    said = agent("push", "--all").stdout
    assert said.startswith("prometheus: delivered\n"), said
    equal("what Prometheus said", door.answers, answers)
    equal("pushes", len(prometheus.pushes("night")), count + 1)
    equal("series that are still there", rows_of(prometheus, "night"), 0)
# Killed when the push has arrived and nobody knows: what is sent again is later.
door.script, count = ["kill"], len(prometheus.pushes("night"))
door.victim = agent.start("push", "--all")
equal("killed", door.victim.wait(timeout=60), -9)
equal("pushes that arrived", len(prometheus.pushes("night")), count + 1)
sent = mark(door.state)
agent("push", "--all")
assert len(prometheus.pushes("night")) == count + 2 and mark(door.state) > sent + 1
# The wrong password.
(agent.folder / "password").write_text("guess")
assert "refuses the credentials" in agent("check", "--gateway", exits=75).stdout
assert "HTTP status 401" in agent("push", "--all", exits=75).stdout
(agent.folder / "password").write_text(PASSWORD)
assert "prometheus: delivered\n" in agent("push").stdout

# A kill while it runs leaves the series; the next start goes on, later than all that was sent, even by a clock that has gone
# back by a day, and says so.
before = prometheus.pushes("night")
process = agent.start("run", "--rounds", 1000000)
wait_for("pushes while it runs", lambda: len(prometheus.pushes("night")) > len(before) + 3)
process.kill()
process.communicate()
assert rows_of(prometheus, "night") > 50, "a kill ends no series"
equal("alerts after a kill", [alerts(), alerts(400)], [set(), {"MutationBatchKilledOrUndelivered"}])
sent = mark(door.state)
assert sent >= max(prometheus.pushes("night"))
yesterday = {"LD_PRELOAD": str(FAKETIME), "FAKETIME": "-1d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1"}
process = agent.start("run", environment=yesterday)
said = process.communicate(timeout=60)[1]
equal(f"exit code\n{said}", process.returncode, 0)
assert "the clock stands before what was written there by it" in said, said
pushes = prometheus.pushes("night")
new = [at for at in pushes if at > sent]
assert len(new) >= 2 and new[-1] - sent <= len(new) + 2, f"not one after the other: {sent}, {new}"
equal("the first push after the kill", pushes[new[0]].value("mutation_batches_total", status="crashed"), 1)
holds_to(pushes[new[-1]], agent.records())
equal("series that are still there", rows_of(prometheus, "night"), 0)
equal("alerts after the next start", alerts(400), {"MutationBatchCrashed"})
equal("alerts when no night came", alerts(27 * 3600), {"MutationNoSuccess"})
# The clock is right again, and so are the times.
began = round(time.time() * 1000)
assert "the clock stands before what was written there" not in agent("run").stderr
pushes = prometheus.pushes("night")
equal("pushes at a time of neither clock", [at for at in pushes if new[-1] < at < began], [])
counts = [shown.value(TOTAL) for shown in pushes.values()]
equal("the counts rise over the kill", counts, sorted(counts))
holds_to(pushes[max(pushes)], agent.records())

# A clock that is years ahead writes nothing, for Prometheus would shut out all others; once it is right, a push delivers.
newest = max(pushes)
process = agent.start("run", environment=yesterday | {"FAKETIME": "+700d"})
said = process.communicate(timeout=60)[1]
equal(f"exit code\n{said}", process.returncode, 75)
assert "ahead of the receiver's clock" in said, said
equal("what was sent", max(prometheus.pushes("night")), newest)
began = round(time.time() * 1000)
assert "prometheus: delivered\n" in agent("push").stdout
assert began <= max(prometheus.pushes("night")) <= time.time() * 1000
holds_to(prometheus.pushes("night")[max(prometheus.pushes("night"))], agent.records())

# A strategy that is taken away: its fitness is shown until the batch without it ends, and ends with that.
fit = Agent(config(prometheus.url, "fit", rounds=1, mutations=3)
            + '[evaluator]\ncommand = ["sh", "-c", "echo 1 # {candidate}"]\n')
fit("run")
[gone, *_] = sorted((fit.folder / "examples/strategies").glob("*.py"))
gone.unlink()
count = len(prometheus.pushes("fit"))
fit("run")
of_gone = {"strategy": f"examples/strategies/{gone.name}"}
found = [shown.all("exit_mutation_baseline_fitness", **of_gone) for shown in prometheus.pushes("fit").values()]
assert any(found[count:-1]) and not found[-1], "shown by pushes of the second batch, and no more by the last"
equal("series that are still there", rows_of(prometheus, "fit"), 0)

# A batch that fails.
(agent.folder / "examples/strategies/none.py").write_text("nothing = None\n")
agent.configure(config(door.url, "night", more=LOGIN).replace("*.py", "none.py"))
agent("run", exits=65)
equal("alerts after a failed batch", alerts(400), {"MutationBatchCrashed", "MutationBatchFailed"})

# Prometheus is away at night, and back later.
prometheus.process.terminate()
prometheus.process.wait()
away = Agent(config(prometheus.url, "away", patience="1s"))
assert "undelivered; the next start or `mutation-agent push` delivers" in away("run", exits=75).stderr
away("push", exits=75)
said = away("audit", "verify", "--gateway", exits=75).stdout
assert "it has not taken the newest totals yet" in said, said
prometheus.start()
equal("the push", away("push").stdout, "prometheus: delivered\n")
equal("pushes", len(prometheus.pushes("away")), 1)
holds(prometheus.pushes("away"), away.records())
away("audit", "verify", "--gateway")

# One that takes no remote write says which flag it needs.
deaf = Prometheus()
away.configure(config(deaf.url, "away"))
FLAG = "--web.enable-remote-write-receiver"
assert f"does not take remote write: HTTP status 404" in (said := away("check", "--gateway", exits=75).stdout), said
assert FLAG in said, said
assert FLAG in (said := away("run", exits=75).stderr), said
# What it has not seen is known: another endpoint is another group.
away.configure(config(prometheus.url, "away"))
equal("the push", away("push").stdout, "prometheus: delivered\n")
holds_to(prometheus.pushes("away")[max(prometheus.pushes("away"))], away.records())

print(f"{len(pushes)} pushes by remote write hold what the audit has at their times, which only rise: over a restart, a kill, "
      "a lost answer, a clock that is behind; series end with their batch, and Prometheus away is 75 and a push")
