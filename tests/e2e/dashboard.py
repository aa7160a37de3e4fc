#!/usr/bin/env python3
"""The Grafana dashboard: as Grafana's own schemas have it, each query answered with data, and the figures those of the audit.

Grafana itself is in no package registry; its schemas are. What a person would see in it is asked of a real Prometheus,
with the variables filled in as Grafana does, after nights of three hosts: one with an evaluator and variants, one with
many batches of which one was killed, one that can do nothing.
"""

import json
import math
import re
import signal
import subprocess
import time
import urllib.error
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

from lib import (
    BINARY, ENVIRONMENT, ROOT, Agent, Pushgateway, atexit, close, config, end, equal, free_port, get, seconds,
    temporary_folder, wait_for,
)

PATH = ROOT / "monitoring/grafana/mutation-agent.json"
METRICS = (ROOT / "docs/METRICS.md").read_text()
NPM = ("@grafana/schema@13.2.3", "typescript@7.0.2")
KINDS = {"row", "stat", "table", "timeseries", "state-timeline", "barchart", "heatmap"}
# An annotation's own keys of the Prometheus data source, which neither schema knows.
OF_PROMETHEUS = ("titleFormat", "textFormat", "tagKeys", "useValueForTime")
# What is pushed and not on the dashboard, and why nobody misses it there.
NOT_SHOWN = {"mutation_audit_records_total": "the same number as exit_mutations_total, for `audit verify --gateway`"}
# Not the agent's: the gateway's and Prometheus' own.
FOREIGN = {"push_time_seconds", "push_failure_time_seconds", "ALERTS"}
NAME = re.compile(r"\b(?:exit_mutation|mutation_(?:batch|push|audit|agent)|push_)\w+\b|\bALERTS\b")
DAY = 86400
# Prometheus takes a series that is younger than the window for longer than it is, by so many scrapes at the most.
EDGE = 1.6


# What it is.


def in_metrics_md():
    """The names in the table of docs/METRICS.md."""
    table = METRICS.split("<!-- metrics: begin")[1].split("<!-- metrics: end")[0]
    return set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))


def names(text):
    """The metrics that a query asks for, histograms by their own name."""
    return {re.sub(r"(_duration_seconds)_(bucket|sum|count)$", r"\1", name) for name in NAME.findall(text)}


def panels(dashboard):
    """All panels that show something."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def is_laid_out(dashboard):
    """Nothing lies over something else; each panel says what it shows, and in which unit."""
    taken, ids = {}, set()
    for panel in dashboard["panels"]:
        title, place = panel["title"], panel["gridPos"]
        assert panel["type"] in KINDS, f"{title}: a panel of type {panel['type']}"
        assert panel["id"] not in ids, f"{title}: the id {panel['id']} is there twice"
        ids.add(panel["id"])
        assert place["x"] + place["w"] <= 24, f"{title}: wider than the page"
        for cell in ((x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])):
            assert cell not in taken, f"{title} lies over {taken[cell]}"
            taken[cell] = title
    for panel in panels(dashboard):
        title, config_ = panel["title"], panel["fieldConfig"]
        assert panel["description"].endswith("."), f"{title}: no description"
        assert config_["defaults"]["unit"], f"{title}: no unit"
        references = [target["refId"] for target in panel["targets"]]
        equal(f"{title}: references", len(references), len(set(references)))
        for override in config_["overrides"]:
            column = re.fullmatch(r"Value #(\w+)", override["matcher"]["options"])
            assert not column or column[1] in references, f"{title}: nothing answers to {override['matcher']}"
    equal("holes", [cell for cell in taken if cell[1] and (cell[0], cell[1] - 1) not in taken], [])


def differences(written, read, path="dashboard"):
    """What became of a document that was read and written by a schema; what that adds is no difference."""
    if isinstance(written, dict) and isinstance(read, dict):
        for key, value in written.items():
            if key in read:
                yield from differences(value, read[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown"
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for at, pair in enumerate(zip(written, read)):
            yield from differences(*pair, f"{path}[{at}]")
    elif written != read:
        yield f"{path}: {written!r} became {read!r}"


def without_annotations_queries(dashboard):
    """The dashboard without what its schemas leave to a data source, and that alone."""
    plain = json.loads(json.dumps(dashboard))
    queries = []
    for annotation in plain["annotations"]["list"]:
        for key in OF_PROMETHEUS:
            annotation.pop(key, None)
        if "target" in annotation:
            queries.append(annotation.pop("target"))
    return plain, queries


def is_known_to_the_foundation_sdk(dashboard):
    """Read and written again by Grafana's model of its JSON, with the options of each panel: nothing is lost."""
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.models.dashboard import Dashboard
    from grafana_foundation_sdk.models.prometheus import Dataquery

    plugins.register_default_plugins()

    def again(model, document):
        return json.loads(json.dumps(model.from_json(document), cls=JSONEncoder))

    plain, queries = without_annotations_queries(dashboard)
    equal("unknown to Grafana's model", list(differences(plain, again(Dashboard, plain))), [])
    for query in queries:
        equal("unknown to Prometheus' query", list(differences(query, again(Dataquery, query))), [])
    # A misspelt key must be seen, or all of this says nothing.
    plain["panels"][1]["options"]["colourMode"] = "background"
    equal("a misspelt key", len(list(differences(plain, again(Dashboard, plain)))), 1)


TYPESCRIPT = """import type { Dashboard } from "@grafana/schema";
// An enum as the texts that stand in a file.
type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
export const dashboard: Plain<Dashboard> = """


def is_known_to_typescript(dashboard):
    """Grafana's published types take it."""
    folder = temporary_folder()
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *NPM],
        cwd=folder, env=ENVIRONMENT, check=True,
    )
    plain, _ = without_annotations_queries(dashboard)

    def complaints(document):
        (folder / "dashboard.ts").write_text(f"{TYPESCRIPT}{json.dumps(document, indent=1)};\n")
        done = subprocess.run(
            ["node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--module", "esnext",
             "--moduleResolution", "bundler", "dashboard.ts"],
            cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=False,
        )
        return done.stdout.strip()

    equal("tsc", complaints(plain), "")
    plain["panels"][1]["fieldConfig"]["defaults"]["thresholds"]["mode"] = "absolutely"
    assert "absolutely" in complaints(plain), "tsc takes anything"


# What it asks.


class Query:
    """A query as it stands, and how Grafana would ask it."""

    def __init__(self, where, text, span=0, step=0):
        self.where, self.text, self.span, self.step = where, text, span, step

    def filled(self, variables):
        """With the variables as Grafana fills them in."""
        text = self.text
        for name, value in sorted(variables.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(f"${name}", value)
        assert "$" not in text, f"{self.where}: what is {text}?"
        return text


def queries(dashboard):
    """All queries of panels and annotations."""
    for panel in panels(dashboard):
        for target in panel["targets"]:
            where = f"{panel['title']} {target['refId']}"
            assert target["instant"] != target["range"], where
            if target["instant"]:
                yield Query(where, target["expr"])
            elif "interval" in target:
                equal(f"{where}: step", target["interval"], "1d")
                yield Query(where, target["expr"], span=DAY, step=DAY)
            else:
                yield Query(where, target["expr"], span=30, step=1)
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            yield Query(annotation["name"], annotation["target"]["expr"], span=30, step=1)


def label_values(variable):
    """Selector and label of a variable's query."""
    return re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()


def is_parsed_by_promtool(texts):
    """Each query, as the expression of a rule."""
    folder = temporary_folder()
    rules = [{"record": f"query:{at}", "expr": text} for at, text in enumerate(texts)]
    # JSON is YAML.
    (folder / "queries.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", folder / "queries.yml"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and f"{len(rules)} rules found" in done.stdout, done.stdout + done.stderr


class Prometheus:
    """A real one that scrapes a gateway each second, with one alert of ours."""

    def __init__(self, gateway):
        folder = temporary_folder()
        (folder / "rules.yml").write_text("""
groups:
  - name: a stand-in for monitoring/rules
    rules:
      - {alert: MutationBatchFailed, expr: mutation_batch_last_exit_code > 0, labels: {severity: page}}
""")
        (folder / "prometheus.yml").write_text(f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: pushgateway
    honor_labels: true
    static_configs:
      - targets: ["127.0.0.1:{gateway.port}"]
""")
        self.port, self.log = free_port(), folder / "prometheus.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdout=log, stderr=log, env=ENVIRONMENT,
            )
        atexit.register(end, self.process)
        wait_for("Prometheus", self.is_ready)

    def is_ready(self):
        """Whether it answers."""
        assert self.process.poll() is None, self.log.read_text()
        try:
            return get(f"http://127.0.0.1:{self.port}/-/ready")
        except OSError:
            return False

    def get(self, path, **parameters):
        """The data of an answer of the API."""
        try:
            return json.loads(get(f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"))["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read()}") from error

    def instant(self, text):
        """Labels and value of each series, now."""
        return [(row["metric"], float(row["value"][1])) for row in self.get("query", query=text)["result"]]

    def ask(self, query, variables):
        """Labels and newest value of each series that has one; for days, the sum of all of them."""
        text = query.filled(variables)
        if not query.span:
            return self.instant(text)
        # The day's beginning, or the next second: what was scraped in this one is part of it.
        last = int(time.time()) // DAY * DAY if query.step == DAY else math.ceil(time.time())
        data = self.get("query_range", query=text, start=last - query.span, end=last, step=query.step)
        rows = [(row["metric"], [float(value) for _, value in row["values"]]) for row in data["result"]]
        days = query.step == DAY
        return [(labels, sum(value for value in values if value == value) if days else values[-1]) for labels, values in rows]


# By status: what a host pushed that has it, where that is not what a good one pushes; `now` is two days after 1970.
# None: not there, as promtool's series know no NaN.
NOW = 2 * DAY
GOOD = {
    "mutation_batch_last_start_timestamp_seconds": NOW - 1800, "mutation_batch_last_success_timestamp_seconds": NOW - 1200,
    "mutation_batch_last_exit_code": 0, "mutation_batch_in_progress": 0, "push_time_seconds": NOW - 1200,
    "push_failure_time_seconds": 0, "exit_mutation_success_rate": 0.9, 'exit_mutation_baseline_success_rate{bound="lower"}': 0.8,
}
STATUSES = {
    "good": {},
    "running": {"mutation_batch_in_progress": 1, "push_time_seconds": NOW - 15, "exit_mutation_success_rate": None},
    "fewer successes than usual": {"exit_mutation_success_rate": 0.7},
    "fewer than half succeed": {"exit_mutation_success_rate": 0.4},
    "interrupted": {"mutation_batch_last_exit_code": 143},
    "undelivered": {"mutation_batch_last_exit_code": 75},
    "no success for 26 h": {"mutation_batch_last_success_timestamp_seconds": NOW - 27 * 3600},
    "failed": {"mutation_batch_last_exit_code": 65, "exit_mutation_success_rate": None},
    "push refused": {"push_failure_time_seconds": NOW - 60},
    "hung or killed": {"mutation_batch_in_progress": 1, "push_time_seconds": NOW - 900},
}


def statuses_are_what_they_say(text):
    """Each status of the table, and that one without a first success is as one whose last is long ago."""
    shown = {
        mapped["text"]: int(value)
        for panel in panels(json.loads(PATH.read_text())) if panel["title"] == "Each host"
        for override in panel["fieldConfig"]["overrides"] if override["matcher"]["options"] == "Value #A"
        for one in override["properties"] if one["id"] == "mappings" for value, mapped in one["value"][0]["options"].items()
    }
    equal("statuses", set(shown), set(STATUSES))
    series, samples = [], []
    for name, other in [*STATUSES.items(), ("never", {"mutation_batch_last_success_timestamp_seconds": None})]:
        for metric, value in (GOOD | other).items():
            if value is None:
                continue
            metric, _, labels = metric.partition("{")
            labels = f'job="exit_evolution", instance="{name}"' + (f", {labels[:-1]}" if labels else "")
            series.append({"series": f"{metric}{{{labels}}}", "values": f"{value}x60"})
        value = shown["no success for 26 h" if name == "never" else name]
        samples.append({"labels": f'{{job="exit_evolution", instance="{name}"}}', "value": value})
    folder = temporary_folder()
    (folder / "tests.yml").write_text(json.dumps({"rule_files": [], "tests": [{
        "interval": "1h", "input_series": series,
        "promql_expr_test": [{"expr": text, "eval_time": f"{NOW // 3600}h", "exp_samples": samples}],
    }]}))
    done = subprocess.run(
        ["promtool", "test", "rules", folder / "tests.yml"], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def shows_every_alert(dashboard):
    """The alerts of monitoring/rules are among those that it asks for."""
    rules = (ROOT / "monitoring/rules/alerts.yml").read_text()
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) > 10, alerts
    for query in queries(dashboard):
        patterns = re.findall(r'alertname=~?"([^"]+)"', query.text)
        missed = [name for name in alerts if patterns and not any(re.fullmatch(one, name) for one in patterns)]
        equal(f"{query.where}: alerts that are not asked for", missed, [])


# The nights.

EVALUATED = """
[batch]
rounds = 2
mutations_per_round = 24
[strategies]
include = ["examples/strategies/*.py"]
[[gateway]]
url = "URL"
grouping = { instance = "night-a.example.org" }
[push]
interval = "1s"
[evaluator]
command = ["python3", "EVALUATOR", "--stream"]
mode = "stream"
workers = 2
[[variant]]
name = "usual"
weight = 3
[[variant]]
name = "wide"
operator = "lognormal"
sigma = 0.4
"""
CALLED = ("night-a.example.org", "night-b", "night-c")


class Host(Agent):
    """One that pushes under a name of its own."""

    def __init__(self, name, config_):
        super().__init__(config_)
        self.name = name

    def figures(self):
        """What `stats` says over all batches."""
        return json.loads(self("stats", "--json").stdout)

    def killed(self):
        """A batch that is killed in its middle, and counted by the next start."""
        process = self.start("run", "--rounds", 100000)
        wait_for("some records", lambda: any(path.stat().st_size > 10000 for path in self.audit.glob("*.partial")))
        process.send_signal(signal.SIGKILL)
        equal("killed", process.wait(), -signal.SIGKILL)


def hosts(gateway):
    """Three hosts that have pushed nothing yet."""
    evaluator = ROOT / "examples/evaluators/backtest.py"
    found = [
        Host(CALLED[0], EVALUATED.replace("URL", gateway.url).replace("EVALUATOR", str(evaluator))),
        Host(CALLED[1], config(gateway.url, rounds=2, mutations=30, instance=CALLED[1])),
        Host(CALLED[2], config(gateway.url, rounds=2, mutations=30, instance=CALLED[2])),
    ]
    for path in (found[2].folder / "examples/strategies").glob("*.py"):
        path.write_text("stop_loss_pct = 1 +\n")
    return found


def are_seen(prometheus, agents):
    """Waits until the last push of each host has been scraped."""
    for agent in agents:
        total = len(agent.records())
        text = f'exit_mutations_total{{instance="{agent.name}"}} == {total} and on (instance) mutation_batch_in_progress == 0'
        wait_for(f"the {total} of {agent.name}", lambda text=text: prometheus.instant(text))


def first_night(agents):
    """A batch of each that no Prometheus has seen the beginning of; gives how many records it has, by host."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda agent: agent("run", "--seed", 1, exits=65 if agent is agents[2] else 0), agents))
    return {agent.name: len(agent.records()) for agent in agents}


def nights(prometheus, agents):
    """The others, which it sees whole."""
    evaluated, many, _ = agents
    are_seen(prometheus, agents)
    # So that a series is longer than the edges that increase() adds to it.
    wait_for("some scrapes", lambda: prometheus.instant("count_over_time(exit_mutations_total[1h]) > 4"))
    with ThreadPoolExecutor() as pool:
        def again(agent):
            if agent is evaluated:
                agent("run", "--seed", 2)
                agent("run", "--seed", 3)
            elif agent is many:
                agent.killed()
                for seed in range(8):
                    agent("run", "--seed", seed)
            else:
                agent("run", exits=65)

        list(pool.map(again, agents))
    are_seen(prometheus, agents)
    wait_for("the alert", lambda: prometheus.instant('ALERTS{alertstate="firing"}'))


# What it says.


class Page:
    """The dashboard as somebody sees it."""

    def __init__(self, dashboard, prometheus, variables):
        everything = list(queries(dashboard))
        self.queries = {query.where: query for query in everything}
        equal("titles that are there twice", len(everything) - len(self.queries), 0)
        self.prometheus, self.variables = prometheus, variables

    def series(self, where):
        """What a query answers with, NaN left out."""
        return [(labels, value) for labels, value in self.prometheus.ask(self.queries[where], self.variables) if value == value]

    def value(self, where, **labels):
        """The only value with these labels."""
        found = [value for these, value in self.series(where) if labels.items() <= these.items()]
        assert len(found) == 1, f"{where} {labels}: {found}"
        return found[0]


def increased(what, found, expected, scrapes):
    """As increase() has it: exact between scrapes, and more by what it adds for the window's edges."""
    most = expected * (1 + EDGE / (scrapes - 1)) + 1e-6
    assert expected - 1e-6 <= found <= most, f"{what}: found {found}, expected {expected} to {most}"


def shows_what_the_audit_says(page, agents, before, began):
    """The central figures, by independent counting of the records and by `stats` and `best`."""
    evaluated, many, _ = agents
    news = [record for agent in agents for record in agent.records()[before[agent.name]:]]
    successes = sum(record["success"] for record in news)
    # Shares are of numbers that increase() has lengthened each by itself.
    scrapes = min(value for _, value in page.prometheus.instant("count_over_time(mutation_batch_in_progress[1h])"))
    edge = EDGE / (scrapes - 1)
    increased("mutations", page.value("Mutations in 24 h A"), len(news), scrapes)
    increased("mutations per day", sum(value for _, value in page.series("Mutations per day A")), len(news), scrapes)
    close("success rate", page.value("Success rate in 24 h A"), successes / len(news), edge)
    equal("hosts", page.value("Hosts A"), 3)
    equal("hosts that need a look", page.value("Hosts that need a look A"), 1)
    equal("running", page.value("Running now A"), 0)
    increased("crashed", page.value("Crashed in 7 days A"), 1, scrapes)
    increased("batches completed", page.value("Batches by how they ended, per day A", status="completed"), 10, scrapes)
    increased("batches failed", page.value("Batches by how they ended, per day A", status="failed"), 1, scrapes)
    for field, place in (("parameter", "Outcomes by parameter A"), ("operator", "Outcomes by operator A"), ("variant", "Outcomes by variant A")):
        for labels, value in page.series(place):
            counted = sum(
                str(record[field] or "none") == labels[field] and record["outcome"] == labels["outcome"] for record in news
            )
            increased(f"{place} {labels}", value, counted, scrapes)
        increased(place, sum(value for _, value in page.series(place)), len(news), scrapes)
    values = [value for record in news for value in [record, *record.get("also", [])]]
    for labels, value in page.series("Share of values out of bounds A"):
        these = [value["clamped"] for value in values if value["parameter"] == labels["parameter"]]
        close(f"clamped {labels}", value, sum(these) / len(these), edge)
    durations_are_in_their_buckets(page, news, scrapes)
    a_row_of_hosts_is_its_last_batch(page, agents)
    for champion in json.loads(evaluated("best", "--json").stdout):
        labels = {"strategy": champion["strategy"]}
        equal("champion", page.value("Fitness by strategy B", **labels), champion["fitness"])
        equal("source", page.value("Fitness by strategy A", **labels), champion["baseline_fitness"])
        gain = champion["fitness"] - champion["baseline_fitness"]
        close("champion − source", page.value("Champion − source A", **labels), gain, 1e-9)
    equal("alerts", [labels["instance"] for labels, _ in page.series("Alerts that fire A")], [CALLED[2]])
    ended = {labels["instance"]: value / 1000 for labels, value in page.series("Ends of batches")}
    assert all(began < value < time.time() for value in ended.values()) and len(ended) == 3, ended
    # What a gateway shows as totals is what `stats` says, so that both can be read side by side.
    equal("stats", many.figures()["total"], len(many.records()))


def a_row_of_hosts_is_its_last_batch(page, agents):
    """The table of hosts, against the newest batch of each."""
    version = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    for agent in agents:
        records = [record for record in agent.records() if record["batch_id"] == agent.batches()[-1].name.split(".")[0]]
        labels, useless = {"instance": agent.name}, agent.name == CALLED[2]
        equal("status", page.value("Each host A", **labels), 7 if useless else 0)
        equal("exit code", page.value("Each host E", **labels), 65 if useless else 0)
        if not useless:
            rate = sum(record["success"] for record in records) / len(records)
            close("success rate", page.value("Each host C", **labels), rate, 1e-9)
            equal("rounds", page.value("Each host I", **labels), records[-1]["round"])
            assert 0 <= page.value("Each host B", **labels) < 300, "last success"
        equal("version", [labels["version"] for labels, _ in page.series("Each host N") if labels["instance"] == agent.name], [version])


def durations_are_in_their_buckets(page, news, scrapes):
    """A quantile is as exact as the bucket that it lies in; the heatmap's highest row has all."""
    for place, taken in (
        ("mutation", [seconds(record) for record in news]),
        ("evaluation", [record["evaluation_ms"] / 1e3 for record in news if record["evaluation_ms"] is not None]),
    ):
        rows = dict((float(labels["le"]), value) for labels, value in page.series(f"{place.capitalize()}s by their time A"))
        increased(f"{place}s", rows[math.inf], len(taken), scrapes)
        bounds = sorted(rows)
        for reference, share in (("A", 0.5), ("B", 0.95)):
            exact = sorted(taken)[math.ceil(share * len(taken)) - 1]
            above = next(at for at, bound in enumerate(bounds) if exact <= bound)
            low, high = bounds[max(above - 2, 0)] if above > 1 else 0, bounds[above + 1]
            found = page.value(f"Time of {'a' if place == 'mutation' else 'an'} {place} {reference}")
            assert low <= found <= high, f"{share} of {place}s take {found}, exactly {exact}"


def main():
    """All of it."""
    dashboard = json.loads(PATH.read_text())
    is_laid_out(dashboard)
    shows_every_alert(dashboard)
    is_known_to_the_foundation_sdk(dashboard)
    everything = list(queries(dashboard))
    variables = {one["name"]: one for one in dashboard["templating"]["list"] if one["type"] == "query"}
    used = set().union(*(names(query.text) for query in everything))
    equal("unknown metrics", used - in_metrics_md() - FOREIGN, set())
    equal("metrics that are on no panel", in_metrics_md() - used, set(NOT_SHOWN))

    began = time.time()
    gateway = Pushgateway()
    agents = hosts(gateway)
    before = first_night(agents)
    prometheus = Prometheus(gateway)
    with ThreadPoolExecutor() as pool:
        types = pool.submit(is_known_to_typescript, dashboard)
        nights(prometheus, agents)
        types.result()

    everybody = {"job": "exit_evolution", "__interval": "1d", "__range": "7d"} | {name: ".*" for name in variables if name != "job"}
    equal("All", [one.get("allValue") for one in variables.values()], [None, ".*", ".*", ".*"])
    chosen = dict(everybody)
    for name, variable in variables.items():
        selector, label = label_values(variable)
        offered = prometheus.get(f"label/{label}/values", **{"match[]": Query(name, selector).filled(everybody)})
        assert offered, f"nothing to choose for {name}"
        # As Grafana does: escaped for a regular expression, and once more for the text that it stands in.
        escaped = [re.sub(r"([.+*?^$()\[\]{}|\\-])", r"\\\\\1", value) for value in offered]
        chosen[name] = f"({'|'.join(escaped)})" if variable["multi"] else offered[0]
    texts = [query.filled(filled) for query in everything for filled in (everybody, chosen)]
    statuses_are_what_they_say(next(query for query in everything if query.where == "Each host A").filled(everybody))
    is_parsed_by_promtool(texts + [Query(name, label_values(one)[0]).filled(chosen) for name, one in variables.items()])
    for filled in (everybody, chosen):
        empty = [
            query.where for query in everything
            if not any(value == value for _, value in prometheus.ask(query, filled))
        ]
        equal("queries without data", empty, [])
    shows_what_the_audit_says(Page(dashboard, prometheus, everybody), agents, before, began)
    print(f"{len(panels(dashboard))} panels, {len(everything)} queries: known to both schemas, parsed, answered, as the audit has it")


if __name__ == "__main__":
    main()
