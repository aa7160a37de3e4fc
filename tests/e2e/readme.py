#!/usr/bin/env python3
"""What a newcomer types first works: the README's commands, the example configuration, the demo."""

import re
import subprocess

from lib import BINARY, ENVIRONMENT, EXAMPLE, ROOT, Agent, Exposition, Pushgateway, equal

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

print("README's commands exist; demo, check --gateway and run --dry-run work as they are")
