#!/usr/bin/env python3
"""A million mutations in one batch take no more memory than ten thousand, and neither do many to be verified, nor
much the figures of thousands of strategies."""

import json
import subprocess

from lib import ENVIRONMENT, Agent, Pushgateway, config, equal

gateway = Pushgateway()


def peak(mutations, instance):
    """The peak of resident memory in KiB of a batch with ten rounds of so many mutations."""
    agent = Agent(config(gateway.url, instance=instance) + "\n[audit]\nbuffer = 1000\n")
    report = agent.folder / "peak"
    # Not getrusage: a child's peak begins with what Python itself has.
    done = subprocess.run(
        ["/usr/bin/time", "-f", "%M", "-o", report, *agent.command("run", "--rounds", 10, "--mutations", mutations)],
        env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    shown = gateway.exposition().value("exit_mutations_total", instance=instance)
    equal("exit_mutations_total", shown, 10 * mutations)
    equal("records", agent.manifest(agent.batches()[0])["records"], 10 * mutations)
    return int(report.read_text()), agent


def peak_of_verify(agent):
    """The same of `audit verify`."""
    report = agent.folder / "peak"
    agent("audit", "verify", before=["/usr/bin/time", "-f", "%M", "-o", report])
    return int(report.read_text())


def peak_of_groups(agent, strategies):
    """The same of `stats --by strategy` over a log with ten records of each of so many strategies."""
    report, log = agent.folder / "peak", agent.folder / "many.jsonl"
    record = json.loads(agent.batches()[0].read_text().split("\n", 1)[0])
    log.write_text("".join(json.dumps(record | {"strategy": f"{at % strategies}.py", "duration_ms": at / 100}) + "\n"
                           for at in range(10 * strategies)))
    said = agent("stats", "--json", "--by", "strategy", log, before=["/usr/bin/time", "-f", "%M", "-o", report]).stdout
    equal("groups", {group["total"] for group in json.loads(said)["groups"]}, {10})
    return int(report.read_text())


(small, first), (_, second), (large, _) = peak(1_000, "small"), peak(20_000, "medium"), peak(100_000, "large")
assert large < 1.5 * small, f"{small} KiB for 10,000 mutations, {large} KiB for 1,000,000"

few, many = peak_of_verify(first), peak_of_verify(second)
assert many < 1.2 * few, f"{few} KiB to verify 10,000 records, {many} KiB for 200,000"

groups = peak_of_groups(first, 8_000)
assert groups < 150 * 1024, f"{groups} KiB for 8,000 strategies"

print(f"{small / 1024:.1f} MiB for 10,000 mutations, {large / 1024:.1f} MiB for 1,000,000")
