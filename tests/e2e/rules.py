#!/usr/bin/env python3
"""monitoring/ without a server: promtool and amtool, that every alert is tested both ways, that names, sections of the
runbook and commands in it exist, and that the tests of the rules notice when a threshold is another one."""

import concurrent.futures
import os
import re
import shutil
import subprocess

import yaml

from lib import BINARY, ENVIRONMENT, ROOT, equal, temporary_folder

MONITORING = ROOT / "monitoring"
RUNBOOK = (ROOT / "docs/RUNBOOK.md").read_text()
METRICS = (ROOT / "docs/METRICS.md").read_text()
# What the gateway, Prometheus and the example's relabelling add to the metrics and labels of the agent.
GATEWAYS = {"push_time_seconds", "push_failure_time_seconds", "up"}
ADDED = {"job", "instance", "le", "bound", "alertname", "shard"}
WORDS = {
    "and", "or", "unless", "on", "ignoring", "group_left", "without", "by", "sum", "max", "count", "time", "absent",
    "min_over_time", "max_over_time", "last_over_time", "histogram_quantile",
}


def program(*command, exits=(0,)):
    """Runs one, and gives what it said."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode in exits, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def groups(name):
    """The groups of rules in one of the files."""
    return yaml.safe_load((MONITORING / f"rules/{name}.yml").read_text())["groups"]


RECORDED = groups("recording")
RECORDINGS = [rule for group in RECORDED for rule in group["rules"]]
ALERTS = [rule for group in groups("alerts") for rule in group["rules"]]
TESTS = sorted((MONITORING / "rules/tests").glob("*.yml"))


def the_files_are_what_prometheus_and_alertmanager_read():
    """By their own tools."""
    program("promtool", "check", "config", MONITORING / "prometheus.yml")
    program("promtool", "check", "rules", "--lint-fatal", *(MONITORING / "rules").glob("*.yml"))
    program("amtool", "check-config", MONITORING / "alertmanager.yml")
    program("promtool", "test", "rules", *TESTS)


def every_rule_is_tested():
    """Each alert fires in a test, and in one it does not; each recorded name is asked for, or an alert goes by it."""
    fires, silent, asked = set(), set(), ""
    for test in [test for path in TESTS for test in yaml.safe_load(path.read_text())["tests"]]:
        for one in test.get("alert_rule_test", ()):
            (fires if one["exp_alerts"] else silent).add(one["alertname"])
        asked += " ".join(one["expr"] for one in test.get("promql_expr_test", ()) if one["exp_samples"])
    names = {rule["alert"] for rule in ALERTS}
    equal("alerts that fire in a test", fires, names)
    equal("alerts that do not fire in a test", silent, names)
    asked += " ".join(rule["expr"] for rule in ALERTS)
    equal("recorded and never tested", [rule["record"] for rule in RECORDINGS if rule["record"] not in asked], [])


def names_exist():
    """Metrics and labels in the rules are the agent's, the gateway's, or recorded by us."""
    table = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) \|", METRICS, re.MULTILINE)
    metrics = {f"{name}_bucket" if kind == "histogram" else name for name, kind, _ in table}
    example = (MONITORING / "prometheus.yml").read_text()
    relabelled = re.findall(r"regex: \"(mutation_\w+(?:\|mutation_\w+)*)\"", example)
    metrics |= {f"textfile_{name}" for names in relabelled for name in names.split("|")}
    labels = {label for *_, cell in table for label in re.findall(r"`(\w+)`", cell)} | ADDED
    recorded = {rule["record"] for rule in RECORDINGS}
    for rule in ALERTS + RECORDINGS:
        text = re.sub(r'"[^"]*"', "", rule["expr"])
        used = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*(?=[,}])", text))
        for names in re.findall(r"\b(?:by|without|on|ignoring|group_left) \(([\w, ]*)\)", text):
            used |= set(re.findall(r"\w+", names))
        used |= set(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations", ""))))
        name = rule.get("alert", rule.get("record"))
        equal(f"labels of {name} that are not there", used - labels, set())
        text = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without|on|ignoring|group_left) \([\w, ]*\)", "", text)
        found = set(re.findall(r"[a-zA-Z_][\w:]*", text)) - WORDS
        equal(f"metrics of {name} that are not there", found - metrics - recorded - GATEWAYS, set())


def the_runbook_has_a_section_for_each_alert():
    """And none beside; each says what the others say; each link leads somewhere."""
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
    equal("sections", list(sections), [rule["alert"] for rule in ALERTS])
    anchors = {name.lower() for name in sections}
    for rule in ALERTS:
        equal("keys", sorted(rule["annotations"]), ["description", "runbook_url", "summary"])
        assert rule["annotations"]["runbook_url"].endswith(f"/RUNBOOK.md#{rule['alert'].lower()}"), rule["alert"]
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
    for name, text in sections.items():
        equal(name, re.findall(r"^- \*\*(\w+):\*\*", text, re.MULTILINE), ["Means", "Look", "Do", "Silence"])
    equal("dead anchors", set(re.findall(r"\]\(#(\w+)\)", RUNBOOK)) - anchors, set())
    for path in re.findall(r"\]\(([^)#]+)", RUNBOOK):
        assert (ROOT / "docs" / path).exists(), path
    named = re.findall(r"Mutation\w+|PushgatewayDown", (MONITORING / "alertmanager.yml").read_text())
    equal("alerts in alertmanager.yml that are not there", set(named) - set(sections), set())


def the_commands_of_the_runbook_exist():
    """Each subcommand and flag is one that the program's help has."""
    calls = set(re.findall(r"`mutation-agent ([^`]+)`", RUNBOOK.replace("\n", " ")))
    assert len(calls) >= 8, calls
    for call in calls:
        words = re.sub(r"--config \S+ ", "", call).split()
        command = [word for word in words if re.fullmatch(r"[a-z]+", word)]
        shown = program(BINARY, *command, "--help")
        for flag in (word for word in words if word.startswith("--")):
            assert re.search(rf"{flag}\b", shown), f"mutation-agent {call}: there is no {flag}"
    return len(calls)


def changes(rule):
    """The rule with one comparison, threshold, join or wait as another one, and what that is."""
    expression = rule["expr"]
    for pattern, other in (
        (r" (>|<) ", {">": "<", "<": ">"}.get),
        (r" (>=|==|!=) ", {">=": "<", "==": "!=", "!=": "=="}.get),
        (r"[<>]=? ([\d.]+)(?! \*)\b", lambda number: str(float(number) * 1.5 or 1)),
        (r"(\d+) \* 3600", lambda number: str(int(number) * 2)),
        (r"(\bunless\b|\band\b)", {"unless": "and", "and": "or"}.get),
        (r"(!~|!=|=~|(?<![!<>=])=)\"", {"!~": "=~", "!=": "=", "=~": "!~", "=": "!="}.get),
    ):
        for hit in re.finditer(pattern, expression):
            changed = expression[:hit.start(1)] + other(hit[1]) + expression[hit.end(1):]
            yield f"{rule['alert']}: {other(hit[1])} for {hit[1]} at {hit.start(1)}", rule | {"expr": changed}
    for key in ("for", "keep_firing_for"):
        if key in rule:
            yield f"{rule['alert']} without {key}", {name: rule[name] for name in rule if name != key}


def cases(alert, path):
    """The tests in a file that ask for one alert, without what they ask for beside it; None if there are none."""
    text = yaml.safe_load(path.read_text())
    asking = [
        {name: test[name] for name in ("interval", "input_series")}
        | {"alert_rule_test": [one for one in test.get("alert_rule_test", ()) if one["alertname"] == alert]}
        for test in text["tests"]
    ]
    tests = [test for test in asking if test["alert_rule_test"]]
    order = [*(group["name"] for group in RECORDED), "changed"]
    return text | {"group_eval_order": order, "tests": tests} if tests else None


def needed(recordings, expression):
    """Of the recorded figures those that an expression goes by, by way of others too; the rest would take its time."""
    kept = []
    for rule in reversed(recordings):
        if rule["record"] in expression:
            kept.insert(0, rule)
            expression += rule["expr"]
    return kept


def noticed(change):
    """Whether the tests of the rule fail for it."""
    what, rule = change
    folder = temporary_folder()
    (folder / "tests").mkdir()
    for name, groups in (
        ("recording", [group | {"rules": needed(group["rules"], rule["expr"])} for group in RECORDED]),
        ("alerts", [{"name": "changed", "rules": [rule]}]),
    ):
        (folder / f"{name}.yml").write_text(yaml.safe_dump({"groups": groups}))
    for path in TESTS:
        if asking := cases(rule["alert"], path):
            (folder / "tests" / path.name).write_text(yaml.safe_dump(asking))
    done = subprocess.run(
        ["promtool", "test", "rules", *(folder / "tests").glob("*.yml")],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )
    return what, done.returncode != 0


def every_change_is_noticed():
    """And the rule as it is passes, tested in the same way."""
    for rule in ALERTS:
        equal(f"{rule['alert']} alone", noticed(("nothing", rule)), ("nothing", False))
    all_of_them = [change for rule in ALERTS for change in changes(rule)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        missed = [what for what, seen in pool.map(noticed, all_of_them) if not seen]
    equal("changes that no test notices", missed, [])
    return len(all_of_them)


the_files_are_what_prometheus_and_alertmanager_read()
every_rule_is_tested()
names_exist()
the_runbook_has_a_section_for_each_alert()
commands = the_commands_of_the_runbook_exist()
made = every_change_is_noticed()
print(f"{len(ALERTS)} alerts, {len(RECORDINGS)} recorded figures, {commands} commands; {made} changes noticed")
