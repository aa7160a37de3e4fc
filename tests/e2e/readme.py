#!/usr/bin/env python3
"""What a newcomer types first works: the README's commands, the example configuration, the demo."""

import re
import shutil
import subprocess

from lib import BINARY, ENVIRONMENT, EXAMPLE, ROOT, Agent, Exposition, Pushgateway, equal, temporary_folder

readme = (ROOT / "README.md").read_text()
help_text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
blocks = "".join(re.findall(r"```(?:sh|bash|console)\n(.*?)```", readme, re.DOTALL))
commands = re.findall(r"(?:\bmutation-agent|cargo run --release --) (?:--config \S+ )?([a-z]+)", blocks)
assert {"demo", "run"} <= set(commands), f"README.md shows {commands}"
for command in commands:
    assert re.search(rf"^  {command}\b", help_text, re.MULTILINE), f"README.md shows `{command}`, which there is not"
for script in set(re.findall(r"(?:tests|\.ci)/[\w./-]+", blocks)):
    assert (ROOT / script).exists(), f"README.md shows {script}, which there is not"

# The demo needs nothing and shows what arrived.
demo = subprocess.run([BINARY, "demo"], capture_output=True, text=True, check=True, env=ENVIRONMENT, cwd="/").stdout
text = "".join(
    f"{line}\n" for line in demo.splitlines() if re.match(r"(exit_mutation|mutation_)\w+(\{.*\})? \S+$", line)
)
equal("the demo's mutations", Exposition(text).value("exit_mutations_total"), 50)

# The example configuration, with a gateway that is there.
gateway = Pushgateway()
agent = Agent(EXAMPLE.replace("http://127.0.0.1:9091", gateway.url))
checked = agent("check", "--gateway").stdout
assert "16 usable targets in 4 of 4 strategies" in checked, checked
dry = agent("run", "--dry-run").stdout
assert "nothing was written or sent" in dry, dry
assert not agent.audit.exists(), "a dry run wrote something"
equal("on the gateway", gateway.exposition().all("exit_mutations_total"), [])

# "Let it evolve", word by word, in a clone's place.
evolve = re.search(r"## Let it evolve\n.*?```sh\n(.*?)```", readme, re.DOTALL)[1]
clone = temporary_folder()
shutil.copytree(ROOT / "examples", clone / "examples")
words = 'set -e; cargo() { test "$1 $2 $3" = "run --release --"; shift 3; "$MUTATION_AGENT" "$@"; }\n'
evolved = subprocess.run(["bash", "-c", words + evolve], capture_output=True, text=True, check=False, cwd=clone,
                         env=ENVIRONMENT | {"MUTATION_AGENT": str(BINARY)})
assert evolved.returncode == 0, evolved.stdout + evolved.stderr
for said in ("completed: 500 mutations", "examples/strategies/momentum.py: fitness ", "--- a/examples/strategies/momentum.py\n",
             "momentum.py would be replaced (dry run)\n"):
    assert said in evolved.stdout, f"{said} is not in:\n{evolved.stdout}"
for path in (ROOT / "examples/strategies").glob("*.py"):
    equal(path.name, (clone / "examples/strategies" / path.name).read_text(), path.read_text())

print("README's commands exist; \"Let it evolve\", demo, check --gateway and run --dry-run work as they are")
