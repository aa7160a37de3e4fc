#!/usr/bin/env python3
"""Alerts for real: agents, a Pushgateway, node_exporter, Prometheus with monitoring/, Alertmanager, and who is told.

Each host has a trouble of its own; what is told of it, and that it is over, arrives at a webhook. One host is well all
the while, and nothing is told of it. A night is two seconds here: FASTER is all that is changed in the rules.
"""

import concurrent.futures
import http.server
import json
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse
import urllib.request

from lib import (
    ENVIRONMENT, ROOT, Agent, Pushgateway, atexit, config, end, equal, free_port, get, temporary_folder, wait_for,
)

# Every time in the rules as written, and as it is here.
FASTER = {
    "[25h]": "[15s]", "[7d:10m]": "[3m:1s]", "[1h]": "[5s]",
    "for: 1h": "for: 2s", "for: 30m": "for: 6s", "for: 5m": "for: 1s", "for: 1m": "for: 1s",
    "keep_firing_for: 15m": "keep_firing_for: 8s", "keep_firing_for: 1m": "keep_firing_for: 1s",
    "26 * 3600": "12", "50 * 3600": "16", "7 * 3600": "9", "> 300": "> 4", "> 600": "> 600",
}
PUSH = 'interval = "1s"\nattempt_timeout = "2s"\ndeadline = "2s"\nretry = { initial = "100ms" }\n'
NOWHERE = "http://127.0.0.1:1"
IMPOSSIBLE = '\n[[constraint]]\nrule = "stop_loss_pct <= 0.0001"\n'
# Judges sources at once, and candidates as HOW says.
JUDGE = 'if [ "$MUTATION_ID" != exit_mut_000000 ]; then\n    HOW\nfi\necho 1\n'
# Seconds for what is told within a few; other checks run beside us.
PATIENCE = 60


def faster(text):
    """Rules for short nights; a time that FASTER does not know is a mistake here."""
    times = r"\[\d[\w:]*\]|(?:keep_firing_)?for: \w+|\d+ \* 3600|> [3-9]00\b"
    return re.sub(times, lambda found: FASTER[found[0]], text)


class Told(http.server.BaseHTTPRequestHandler):
    """The webhook: by alert, host and other labels what was told of it, in order."""

    history = {}
    lock = threading.Lock()

    def do_POST(self):  # noqa: N802, the name is given
        """A message of Alertmanager, which repeats what it told before."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.lock:
            for alert in message["alerts"]:
                labels = alert["labels"]
                told = self.history.setdefault(tuple(sorted(labels.items())), [])
                if not told or told[-1] != (alert["status"], alert["startsAt"]):
                    told.append((alert["status"], alert["startsAt"]))
                equal("where it is told", self.path, "/now" if labels["severity"] == "critical" else "/mornings")
                assert "{{" not in str(alert) and "error" not in str(alert["annotations"]).lower(), alert
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Nothing."""

    @classmethod
    def of(cls, alert=None, host=None, **more):
        """What was told, by labels."""
        asked = {"alertname": alert, "instance": host} | more
        asked = {(name, value) for name, value in asked.items() if value}
        with cls.lock:
            return {labels: list(told) for labels, told in cls.history.items() if asked <= set(labels)}


def fires(alert, host, **more):
    """Waits until it is told, and not over."""
    told = wait_for(
        f"{alert} of {host} {more or ''}",
        lambda: {labels for labels, told in Told.of(alert, host, **more).items() if told[-1][0] == "firing"}, PATIENCE,
    )
    equal(f"{alert} of {host}", len(told), 1)
    seen.add((alert, "firing"))


def resolves(alert, host, **more):
    """Waits until it is told that it is over."""
    wait_for(
        f"the end of {alert} of {host} {more or ''}",
        lambda: all(told[-1][0] == "resolved" for told in Told.of(alert, host, **more).values()), PATIENCE,
    )
    seen.add((alert, "resolved"))


def held_back(alert, host):
    """Waits until Alertmanager knows of it and tells nobody, for it follows from something else."""
    asked = urllib.parse.urlencode([("filter", f"alertname={alert}"), ("filter", f'instance="{host}"')])
    wait_for(
        f"{alert} of {host}, held back",
        lambda: any(
            one["status"]["inhibitedBy"]
            for one in json.loads(get(f"http://127.0.0.1:{alertmanager}/api/v2/alerts?{asked}"))
        ), PATIENCE,
    )
    equal(f"told of {alert} of {host}", Told.of(alert, host), {})


def server(name, folder, *arguments):
    """Starts one and leaves it running."""
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen([name, *arguments], stdout=log, stderr=log, env=ENVIRONMENT, cwd=folder)
    atexit.register(end, process)
    return process


def watched():
    """Exporter, Prometheus and Alertmanager with the files of monitoring/; the ports of the last two."""
    folder = temporary_folder()
    shutil.copytree(ROOT / "monitoring", folder, dirs_exist_ok=True)
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    prometheus, alertmanager, exporter = (free_port() for _ in range(3))
    for name, changes in {
        "prometheus.yml": {
            "15s": "1s", "127.0.0.1:9093": f"127.0.0.1:{alertmanager}", "127.0.0.1:9091": f"127.0.0.1:{gateway.port}",
            "night-runner:9100": f"127.0.0.1:{exporter}",
        },
        "alertmanager.yml": {
            "127.0.0.1:9095": f"127.0.0.1:{receiver.server_address[1]}", "group_wait: 30s": "group_wait: 1s",
            "group_interval: 5m": "group_interval: 1s",
        },
    }.items():
        text = (folder / name).read_text()
        for old, new in changes.items():
            assert old in text, f"{name} does not say {old}"
            text = text.replace(old, new)
        (folder / name).write_text(text)
    for path in (folder / "rules").glob("*.yml"):
        path.write_text(faster(path.read_text()))
    textfiles.mkdir()
    server(
        "prometheus-node-exporter", folder, "--collector.disable-defaults", "--collector.textfile",
        f"--collector.textfile.directory={textfiles}", f"--web.listen-address=127.0.0.1:{exporter}",
    )
    server(
        "prometheus-alertmanager", folder, "--config.file=alertmanager.yml", "--storage.path=alerts",
        f"--web.listen-address=127.0.0.1:{alertmanager}", "--cluster.listen-address=",
    )
    server(
        "prometheus", folder, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{prometheus}", "--rules.alert.resend-delay=1s",
    )
    return prometheus, alertmanager


def ask(query):
    """Labels and values that Prometheus answers with."""
    try:
        answer = get(f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}")
    except OSError:
        return []
    return [(one["metric"], float(one["value"][1])) for one in json.loads(answer)["data"]["result"]]


class Host(Agent):
    """An agent by the name of its host."""

    def __init__(self, name, more="", **settings):
        self.name = name
        super().__init__("")
        self.set(more, **settings)

    def set(self, more="", url=None, rounds=5, **settings):
        """Another configuration."""
        self.configure(config(url or gateway.url, more=PUSH + more, instance=self.name, rounds=rounds, **settings))

    def is_seen(self):
        """Waits until Prometheus has what was pushed last: a rise is from there on."""
        attempts = gateway.exposition().value("exit_mutations_total", instance=self.name)
        query = f'group:exit_mutations:rise25h{{instance="{self.name}"}} and exit_mutations_total == {attempts}'
        wait_for(f"{self.name} in Prometheus", lambda: ask(query), PATIENCE)

    def stays_so(self):
        """Waits until Prometheus has seen the same four times, and so have the rules."""
        total = f'exit_mutations_total{{instance="{self.name}"}}[4s]'
        query = f"changes({total}) == 0 and count_over_time({total}) >= 4"
        wait_for(f"{self.name} stays so", lambda: ask(query), PATIENCE)

    def in_progress(self):
        """Waits until the gateway knows of the batch."""
        name = "mutation_batch_in_progress"
        wait_for(f"{self.name} at work", lambda: gateway.exposition().all(name, instance=self.name)[-1:] and
                 gateway.exposition().value(name, instance=self.name) == 1, PATIENCE)

    def judged(self, how, **settings):
        """With an evaluator, and so with the metric that the gateway does not accept at first."""
        assert self.name == "rejected" or accepted.wait(PATIENCE)
        (self.folder / "judge.sh").write_text(JUDGE.replace("HOW", how))
        self.set('[evaluator]\ncommand = ["sh", "judge.sh", "{candidate}"]\ntimeout = "500ms"\n', **settings)


def a_host_that_is_well():
    """A night every two seconds, until the others are through; whatever becomes of the gateway."""
    host = Host("good", more="[output]\nkeep = 0\n")
    while not through.wait(2):
        host("run", exits=None)


def mutations_that_do_not_succeed():
    """A constraint that few keep."""
    host = Host("low", '\n[[constraint]]\nrule = "holding_period_days >= 25"\n')
    host("run")
    fires("MutationSuccessRateLow", "low")
    host.set()
    host("run")
    resolves("MutationSuccessRateLow", "low")


def batches_that_fail():
    """A constraint that none keeps: exit code 1, and there never was another one."""
    host = Host("failed", IMPOSSIBLE)
    host("run", exits=1)
    fires("MutationBatchFailed", "failed")
    fires("MutationNeverSucceeded", "failed")
    held_back("MutationSuccessRateLow", "failed")
    host.set()
    host("run")
    resolves("MutationBatchFailed", "failed")
    resolves("MutationNeverSucceeded", "failed")


def a_batch_that_is_killed():
    """In progress and silent; then counted as crashed; and that is over after a day."""
    host = Host("killed")
    host("run")
    host.is_seen()
    host.judged("sleep 0.2")
    process = host.start("run")
    host.in_progress()
    process.kill()
    process.wait()
    fires("MutationBatchHung", "killed")
    held_back("MutationNoSuccess", "killed")
    host.set()
    host("run")
    fires("MutationBatchCrashed", "killed", status="crashed")
    resolves("MutationBatchHung", "killed")
    resolves("MutationBatchCrashed", "killed")


def a_batch_that_is_stopped():
    """SIGSTOP, and goes on; then it goes on for too long."""
    host = Host("stopped")
    host.judged("sleep 0.3", rounds=50)
    process = host.start("run")
    host.in_progress()
    process.send_signal(signal.SIGSTOP)
    fires("MutationBatchHung", "stopped")
    process.send_signal(signal.SIGCONT)
    resolves("MutationBatchHung", "stopped")
    fires("MutationBatchOverdue", "stopped")
    process.terminate()
    process.communicate()
    equal("exit code", process.returncode, 143)
    resolves("MutationBatchOverdue", "stopped")


def a_push_that_is_rejected():
    """The very first one, for a metric is another's already. Nobody else here pushes it before that is over."""
    path = f"{gateway.url}/metrics/job/other/instance/foreign"
    foreign = b"# TYPE exit_mutation_best_fitness counter\nexit_mutation_best_fitness 1\n"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(urllib.request.Request(path, method="PUT", data=foreign), timeout=10).close()
    host = Host("rejected")
    host.judged(":", rounds=1, mutations=4)
    try:
        host("run", exits=75)
        fires("MutationPushRejected", "rejected")
        opener.open(urllib.request.Request(path, method="DELETE"), timeout=10).close()
        host("push")
    finally:
        accepted.set()
    resolves("MutationPushRejected", "rejected")


def nights_that_are_not_delivered():
    """By the textfile of a real node_exporter: never, and then for two nights."""
    host = Host("127.0.0.1", url=NOWHERE)
    textfile = f'[metrics]\ntextfile = "{textfiles}/mutation_agent.prom"\n'
    host.set(textfile, url=NOWHERE)
    host("run", exits=75)
    fires("MutationNeverDelivered", "127.0.0.1")
    host.set(textfile)
    host("push")
    resolves("MutationNeverDelivered", "127.0.0.1")
    host.set(textfile, url=NOWHERE)
    name = "mutation_batch_last_start_timestamp_seconds"
    delivered = gateway.exposition().value(name, instance="127.0.0.1")
    wait_for("a night", lambda: time.time() > delivered + 13)
    host("run", exits=75)
    fires("MutationUndelivered", "127.0.0.1")
    host.set(textfile)
    host("push")
    resolves("MutationUndelivered", "127.0.0.1")


def a_host_that_falls_silent():
    """No success, then no push."""
    host = Host("silent")
    host("run")
    fires("MutationNoSuccess", "silent")
    fires("MutationNotPushed", "silent")
    host("run")
    resolves("MutationNoSuccess", "silent")
    resolves("MutationNotPushed", "silent")


def targets_and_bounds():
    """A parameter whose start is out of bounds in some strategies, and one whose bounds are tight."""
    host = Host("bounds", rounds=1, mutations=1)
    host("run")
    host.is_seen()
    host.set('[[parameter]]\nname = "stop_loss_pct"\nmin = 0.09\nmax = 0.12\nsigma = 0.5\n')
    host("run")
    fires("MutationTargetsUnusable", "bounds", state="start_out_of_bounds")
    fires("MutationClampingHigh", "bounds", parameter="stop_loss_pct")
    host.set(rounds=50)
    host("run")
    resolves("MutationTargetsUnusable", "bounds")
    resolves("MutationClampingHigh", "bounds")


def an_evaluator_in_trouble():
    """It fails, hangs, and talks nonsense; a third each, or so."""
    host = Host("judge")
    host.judged(":", rounds=1, mutations=1)
    host("run")
    host.is_seen()
    trouble = "case $((SEED % 3)) in 0) exit 3 ;; 1) sleep 9 ;; *) echo nonsense; exit ;; esac"
    host.judged(trouble, rounds=1, mutations=24)
    host("run", exits=1)
    for outcome in ("failed", "timeout", "output_invalid"):
        fires("MutationEvaluatorFailing", "judge", outcome=f"evaluator_{outcome}")
    resolves("MutationEvaluatorFailing", "judge")


def clocks():
    """One that is two hours ahead, and one that runs a million times as fast, which makes slow mutations."""
    ahead, slow = Host("ahead"), Host("slow", url=NOWHERE)
    ahead("run", before=["faketime", "-f", "+2h"])
    slow.configure(config(instance="slow").replace("[batch]", '[batch]\ndeadline = "none"'))
    slow("run", before=["faketime", "-f", "+0 x1000000"])
    slow.set()
    slow("push")
    fires("MutationClockAhead", "ahead")
    fires("MutationDurationHigh", "slow")
    shutil.rmtree(ahead.folder / "mutation-data")
    ahead("run")
    slow("run")
    resolves("MutationClockAhead", "ahead")
    resolves("MutationDurationHigh", "slow")


def what_is_usual():
    """Three quarters succeed in each of ten nights, more or less, and that is no news; a night with fewer is, and so
    is one that is slow."""
    host = Host("usual")
    usual, fewer = (f'\n[[constraint]]\nrule = "holding_period_days >= {days}"\n' for days in (6, 11))
    host.set(usual)
    for seed in range(10):
        host("run", "--seed", seed)
    host.is_seen()
    host.stays_so()
    assert ask('exit_mutation_baseline_success_rate{instance="usual",bound="lower"}'), "there is no range"
    equal("told of noise", Told.of("MutationSuccessRateBelowBaseline", "usual"), {})
    host.set(fewer)
    host("run", "--seed", 1)
    fires("MutationSuccessRateBelowBaseline", "usual")
    host.set(usual)
    host("run")
    resolves("MutationSuccessRateBelowBaseline", "usual")
    host("run", before=["faketime", "-f", "+0 x2000"], exits=None)
    host("push")
    fires("MutationDurationAboveBaseline", "usual")
    host("run")
    resolves("MutationDurationAboveBaseline", "usual")


def the_gateway_restarts(host):
    """With its data: it is told that it was away, and what fires goes on. Without: its hosts are missed until they say
    everything again."""
    global gateway
    fires("MutationBatchFailed", "failing")
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait()
    fires("PushgatewayDown", f"127.0.0.1:{gateway.port}")
    gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
    resolves("PushgatewayDown", f"127.0.0.1:{gateway.port}")
    told, = Told.of("MutationBatchFailed", "failing").values()
    equal("told of it", [what for what, _ in told], ["firing"])
    equal("missed", Told.of("MutationMetricsGone"), {})
    gateway.kill()
    (gateway.folder / "gateway.db").unlink()
    gateway = Pushgateway(port=gateway.port, folder=gateway.folder)
    fires("MutationMetricsGone", "failing")
    resolves("MutationBatchFailed", "failing")
    host("push", "--all")
    resolves("MutationMetricsGone", "failing")
    fires("MutationBatchFailed", "failing")


began = time.monotonic()
gateway, textfiles, seen = Pushgateway(), temporary_folder() / "textfiles", set()
through, accepted = threading.Event(), threading.Event()
port, alertmanager = watched()
wait_for("Prometheus", lambda: ask("up == 1"), PATIENCE)
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    well = pool.submit(a_host_that_is_well)
    try:
        stories = [pool.submit(story) for story in (
            a_push_that_is_rejected, a_batch_that_is_killed, a_batch_that_is_stopped, an_evaluator_in_trouble,
            mutations_that_do_not_succeed, batches_that_fail, nights_that_are_not_delivered, a_host_that_falls_silent,
            targets_and_bounds, clocks, what_is_usual,
        )]
        failing = Host("failing", IMPOSSIBLE)
        failing("run", exits=1)
        for story in stories:
            story.result()
        the_gateway_restarts(failing)
    finally:
        through.set()
    well.result()
equal("told of the host that is well", Told.of(host="good"), {})
names = set(re.findall(r"alert: (\w+)", (ROOT / "monitoring/rules/alerts.yml").read_text()))
for what in ("firing", "resolved"):
    equal(f"alerts that were told as {what}", {alert for alert, told in seen if told == what}, names)
print(f"{len(names)} alerts fired and were resolved in {time.monotonic() - began:.0f} s; none of the host that is well")
