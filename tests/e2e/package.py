#!/usr/bin/env python3
"""The Debian package in a clean Debian: what is in it, install, upgrade, remove, purge."""

import re
import shutil
import subprocess

from clean_root import CleanRoot, alone, package, shared
from lib import ROOT, equal, temporary_folder

alone()
UNITS = ("mutation-agent.service", "mutation-agent.timer", "mutation-agent-failure@.service")
CONFIG = "/etc/mutation-agent/agent.toml"
FILES = (
    *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS),
    CONFIG,
    "/usr/bin/mutation-agent",
    "/usr/share/man/man1/mutation-agent.1.gz",
    "/usr/share/bash-completion/completions/mutation-agent",
    "/usr/share/zsh/vendor-completions/_mutation-agent",
    "/usr/share/fish/vendor_completions.d/mutation-agent.fish",
    "/usr/share/doc/mutation-agent/copyright",
    "/usr/share/doc/mutation-agent/changelog.Debian.gz",
    "/usr/share/doc/mutation-agent/CHANGELOG.md",
    "/usr/share/doc/mutation-agent/README.md",
    "/usr/share/doc/mutation-agent/METRICS.md",
    "/usr/share/doc/mutation-agent/AUDIT.md",
    *(f"/usr/share/doc/mutation-agent/monitoring/grafana/{name}" for name in (
        "mutation-agent.json", "provisioning/dashboards/mutation-agent.yaml", "provisioning/datasources/prometheus.yaml")),
    "/usr/share/doc/mutation-agent/EVALUATORS.md",
    "/usr/share/doc/mutation-agent/SEARCH.md",
    "/usr/share/doc/mutation-agent/RUNBOOK.md",
    *(f"/usr/share/doc/mutation-agent/monitoring/{name}.yml"
      for name in ("prometheus", "alertmanager", "rules/recording", "rules/alerts")),
    "/usr/share/doc/mutation-agent/examples/agent.toml.example",
    *(f"/usr/share/doc/mutation-agent/examples/strategies/{path.name}"
      for path in (ROOT / "examples/strategies").glob("*.py")),
    *(f"/usr/share/doc/mutation-agent/examples/evaluators/{name}"
      for name in ("backtest.py", "ray_adapter.py", "dask_adapter.py", "prices.csv")),
    *(f"/usr/share/doc/mutation-agent/examples/{path.relative_to(ROOT / 'examples')}"
      for folder in ("kubernetes", "slurm") for path in (ROOT / "examples" / folder).iterdir()),
)


def shows(*command):
    """What a command here prints."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def contents(deb):
    """Each entry of the archive: its mode, its owner and its name."""
    for line in shows("dpkg-deb", "-c", deb).splitlines():
        mode, owner, _, _, _, name = line.split(maxsplit=5)
        yield mode, owner, name.removeprefix(".")


def enabled(root):
    """Links by which systemd would start something of ours."""
    return [path for place in ("etc", "usr/lib") for path in (root.file(place) / "systemd").rglob("*mutation-agent*")
            if path.is_symlink()]


# What is in it.
first = package("0.1.0")
equal("files", sorted(name for mode, _, name in contents(first) if mode[0] != "d"), sorted(FILES))
for mode, owner, name in contents(first):
    equal(f"owner of {name}", owner, "0/0")
    runs = mode[0] == "d" or name == "/usr/bin/mutation-agent"
    equal(f"mode of {name}", mode[1:], "rwxr-xr-x" if runs else "rw-r--r--")
control = temporary_folder()
subprocess.run(["dpkg-deb", "-e", first, control], check=True)
equal("conffiles", (control / "conffiles").read_text().split(), [CONFIG])
for script in ("postinst", "prerm", "postrm"):
    assert "#DEBHELPER#" not in (control / script).read_text(), script
    subprocess.run(["sh", "-n", control / script], check=True)
depends = shows("dpkg-deb", "-f", first, "Depends")
assert re.fullmatch(r"libc6 \(>= 2\.\d+\)(, libgcc-s1 \(>= [\d.]+\))?\n", depends), depends

# Installed: all of it is there, and nothing was enabled or started.
root = CleanRoot()
said = root.install(first)
for name in FILES:
    # Some Debians leave out documentation by dpkg's own rules; this one does not.
    assert root.file(name).is_file(), f"{name} is not there:\n{said}"
equal("enabled", enabled(root), [])
verified = root("systemd-analyze", "verify", "--man=no", *(f"/usr/lib/systemd/system/{unit}" for unit in UNITS))
equal("systemd-analyze verify", verified.stdout + verified.stderr, "")
for unit in UNITS:
    if unit.endswith(".service"):
        root("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=10",
             f"/usr/lib/systemd/system/{unit}")

# The program, its page and its completions.
assert "exit_mutations_total 50" in root("mutation-agent", "demo").stdout
assert ".TH mutation-agent 1" in root("gzip", "-dc", "/usr/share/man/man1/mutation-agent.1.gz").stdout
completed = root("bash", "-c", """
    source /usr/share/bash-completion/completions/mutation-agent
    COMP_WORDS=(mutation-agent ch) COMP_CWORD=1
    _mutation-agent mutation-agent ch mutation-agent 2>/dev/null || _mutation__agent mutation-agent ch mutation-agent
    echo "${COMPREPLY[@]}"
""").stdout
equal("what bash completes", completed.split(), ["check"])

# The config as installed names what to set, and is whole once it is set.
checked = root("mutation-agent", "--config", CONFIG, "check", exits=78)
assert "/etc/mutation-agent/strategies/*.py" in checked.stderr and "include" in checked.stderr, checked.stderr
shutil.copytree(ROOT / "examples/strategies", root.file("/etc/mutation-agent/strategies"))
checked = root("mutation-agent", "--config", CONFIG, "check")
assert "16 usable targets in 4 of 4 strategies" in checked.stdout, checked.stdout
assert 'data_dir = "/var/lib/mutation-agent"' in checked.stdout, checked.stdout

# A night, without a gateway.
config = root.file(CONFIG)
edited = config.read_text().replace("# rounds = 10", "rounds = 2")
edited = edited.replace('[[gateway]]\n', "").replace('url = "http://127.0.0.1:9091"\n', "")
config.write_text(edited)
root("mutation-agent", "--config", CONFIG, "run")
state = root.file("/var/lib/mutation-agent/state.json")
before = state.read_text()

# The next version keeps both, asks nothing, and still enables nothing.
second = package("0.1.1")
said = root.install(second)
equal("the config after an upgrade", config.read_text(), edited)
equal("the state after an upgrade", state.read_text(), before)
assert "0.1.1" in root("dpkg-query", "-W", "mutation-agent").stdout
equal("enabled", enabled(root), [])
root("mutation-agent", "--config", CONFIG, "run")


def with_new_default(deb):
    """The package with one more line in the config that it brings."""
    folder = temporary_folder() / "changed"
    subprocess.run(["dpkg-deb", "-R", deb, folder], check=True)
    with (folder / CONFIG.lstrip("/")).open("a") as text:
        text.write("# a new default\n")
    built = shared() / "changed.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", folder, built], check=True, capture_output=True)
    return built


# One whose default changed is told to keep ours, and leaves the new one beside it.
root.install(with_new_default(second), "--force-confold")
equal("the config after another default", config.read_text(), edited)
beside = root.file(f"{CONFIG}.dpkg-dist").read_text()
assert beside.endswith("# a new default\n"), beside

# What the admin enabled stays enabled; removing keeps config and totals.
root("systemctl", "enable", "mutation-agent.timer")
root.install(second, "--force-confold")
equal("enabled", [path.name for path in enabled(root)], ["mutation-agent.timer"])
root("dpkg", "-r", "mutation-agent")
assert config.exists() and state.exists(), "removing the package took config or totals"
assert not root.file("/usr/bin/mutation-agent").exists()

# Purging keeps nothing but what is not ours.
for name in ("/var/lib/private/mutation-agent/audit", "/var/log/private/mutation-agent"):
    root.file(name).mkdir(parents=True)
shutil.rmtree(root.file("/etc/mutation-agent/strategies"))
root("dpkg", "-P", "mutation-agent")
left = root("find", "/etc", "/usr", "/var", "-name", "*mutation-agent*", "-not", "-path", "/var/log/dpkg.log")
equal("left after the purge", left.stdout, "")

print("contents, install, check, demo, upgrade, changed default, remove and purge in a clean Debian")
