"""Pushes to a real Pushgateway on loopback, beside other clients and a bare socket."""

import json
import shlex
import subprocess
import sys
import urllib.request

import strategies
from measuring import BENCHES, ENVIRONMENT, ROOT, TARGET, Agent, Table, config, digits, equal, span, times
from sections.starting import go_client

sys.path.append(str(ROOT / "tests/e2e"))
from lib import Exposition, Pushgateway  # noqa: E402

TITLE = "Pushing"
JOB = "exit_evolution"


def rivals():
    """By name: programs that push as benches/push/rival.rs wants it."""
    reference = BENCHES / "reference"
    return {
        "curl, keep-alive": [sys.executable, reference / "push_by_curl.py"],
        "Python prometheus_client": [sys.executable, reference / "push_by_python.py"],
        "Go client_golang": [go_client()],
    }


def rust_client():
    """The push of the prometheus crate, which brings dependencies of its own."""
    folder = BENCHES / "rivals"
    subprocess.run(
        ["cargo", "build", "--quiet", "--release", "--locked", "--manifest-path", folder / "Cargo.toml",
         "--target-dir", TARGET / "rivals"],
        check=True,
    )
    return {"rust-prometheus": [TARGET.absolute() / "rivals/release/rust-prometheus-push"]}


def shown(gateway, instance):
    """The samples of a group, as the gateway shows them. Those that count pushes are left out: the text is younger."""
    exposition = Exposition(urllib.request.urlopen(f"{gateway.url}/metrics").read().decode())
    return {
        (name, *sorted(item for item in labels.items() if item[0] != "instance"), repr(value))
        for name, labels, value in exposition.samples
        if labels.get("instance") == instance and not name.startswith(("push_", "mutation_push_"))
    }


def agree(folder):
    """Whoever pushes, the gateway shows the same; how many samples that are."""
    gateway = Pushgateway()
    agent = Agent(config(more=f"""
        [[gateway]]
        url = "{gateway.url}"
        grouping = {{ instance = "ours" }}
    """), folder / "agent")
    strategies.write(agent.folder / "strategies", 153, 4)
    agent("run", "--rounds", 5, "--mutations", 100)
    body = folder / "body.text"
    body.write_bytes((agent.folder / "metrics.prom").read_bytes())
    expected = shown(gateway, "ours")
    for name, command in rivals().items():
        instance = name.split()[0].strip(",")
        done = subprocess.run(
            [*command, gateway.url, JOB, instance, folder],
            input="2\n", env=ENVIRONMENT, capture_output=True, text=True, check=False,
        )
        assert done.returncode == 0, f"{name}: {done.stderr[-2000:]}"
        equal(f"pushes of {name}", len(json.loads(done.stdout)), 2)
        found = shown(gateway, instance)
        # push_by_python.py says why.
        left_out = {"exit_mutations_success"} if "Python" in name else set()
        equal(f"what the gateway shows of {name} and not of ours", found - expected, set())
        equal(f"what it shows of ours alone, not of {name}", {sample for sample, *_ in expected - found}, left_out)
    gateway.kill()
    return len(expected)


def run(brief, folder):
    """The table."""
    samples = agree(folder)
    table = Table(["to a Pushgateway on loopback", "p50", "p99", "p50 ÷ the socket's", "p99 ÷ the socket's"])
    table.notes.append(
        f"{samples} series; whoever pushes them, the gateway shows the same."
    )
    if brief:
        table.notes.append("Who takes how long is not measured in brief.")
        return table
    table.notes.append(
        "The socket writes the bytes of our request and reads the answer. Everyone in turns of 50 in one run; all but"
        " Python keep their connection."
    )
    commands = [
        f"--rival={name}={' '.join(shlex.quote(str(word)) for word in command)}"
        for name, command in (rivals() | rust_client()).items()
    ]
    done = subprocess.run(
        ["cargo", "bench", "--quiet", "--bench", "push", "--features", "real-parts", "--",
         "--pushes", "3000", *commands],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    )
    said = json.loads(done.stdout)
    socket = said["latency_us"]["raw socket"]
    for name, taken in said["latency_us"].items():
        table.add(name, *(span(taken[at] / 1e6) for at in ("p50", "p99")),
                  *(times(taken[at] / socket[at]) for at in ("p50", "p99")))
    table.notes.append("\n".join([
        "| body | bytes | the gateway's processor time |", "| --- | ---: | ---: |",
        *(f"| {name} | {digits(one['body_bytes'])} | {span(one['gateway_cpu_us'] / 1e6)} |"
          for name, one in said["formats"].items()),
    ]))
    return table
