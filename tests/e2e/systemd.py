#!/usr/bin/env python3
"""The units under a real systemd: the installed package, started by its timer, before a gateway with a password."""

import json
import os
import re
import shutil
import subprocess
import time
from collections import defaultdict

from clean_root import CleanRoot, alone, package
from lib import ROOT, Exposition, crontabs, equal, holds_to, is_log, read_log, wait_for
from machine import Machine

alone()
PASSWORD = "hunter2 é:+%"
# PASSWORD by bcrypt at its lowest cost.
USERS = "basic_auth_users:\n  night: $2b$04$abcdefghijklmnopqrstuuhNMEOJfRJnpH3hmI0GHi/Px.llTWNUa\n"
ASK = """
import base64, sys
from lib import get
token = base64.b64encode(f"night:{sys.argv[1]}".encode()).decode()
print(get("http://127.0.0.1:9091/metrics", {"Authorization": f"Basic {token}"}))
"""
# A public address (of those for documentation), which the loopback interface takes for its own.
PUBLIC = "203.0.113.7"
ADDRESS = """
import fcntl, socket, struct, sys
request = struct.pack("16sH2s4s8x", b"lo:1", socket.AF_INET, b"", socket.inet_aton(sys.argv[1]))
SIOCSIFADDR = 0x8916
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), SIOCSIFADDR, request)
"""
# An evaluator that answers for a source and the first ten mutations.
# Over each later one it sits for ever, with a daemon that heeds nothing but SIGKILL.
SITS = """
import os, signal, time
if int(os.environ["MUTATION_ID"].rsplit("_", 1)[1]) > 10:
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        time.sleep(1000)
    time.sleep(1000)
print(1)
"""
# Fails where it may do more than it should, or is limited otherwise than the config says.
FENCED = """
import mmap, os, resource
assert resource.getrlimit(resource.RLIMIT_AS) == (1 << 30, 1 << 30), "memory"
assert resource.getrlimit(resource.RLIMIT_CPU)[0] == 60, "cpu"
assert os.environ.keys().isdisjoint({"NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY"}), "environment"
def allows(what):
    try:
        what()
    except OSError:
        return False
    return True
tries = {
    "write": lambda: open("/etc/mutation-agent/mine", "w"),
    "home": lambda: open("/home/quant/prices.csv"),
    "signal": lambda: os.kill(1, 0),
    "compile": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
}
allowed = [name for name, what in tries.items() if allows(what)]
assert not allowed, f"allowed: {' '.join(allowed)}"
print(1)
"""
SERVICE = "mutation-agent.service"
TIMER = "mutation-agent.timer"


def write(root, name, text, mode=0o644):
    """A file as an admin would leave it."""
    path = root.file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def configure(root, rounds, gateway="127.0.0.1", mutations=100, evaluator=None):
    """The installed config with what this machine needs; `evaluator` is in the place of the one that is commented out."""
    text = root.file("/usr/share/agent.toml").read_text()
    for line, typed in {
        "# rounds = 10": f"rounds = {rounds}",
        "# mutations_per_round = 50": f"mutations_per_round = {mutations}",
        "#[evaluator]": f"[evaluator]\n{evaluator}" if evaluator else "#",
        'url = "http://127.0.0.1:9091"': f'url = "http://{gateway}:9091"\n'
        'name = "night"\n'
        'basic = { user = "night", password_file = "credential:gateway-password" }',
        '# attempt_timeout = "10s"': 'attempt_timeout = "1s"',
        '# deadline = "2m"': 'deadline = "1s"',
    }.items():
        equal(f"lines {line}", text.count(f"\n{line}\n"), 1)
        text = text.replace(f"\n{line}\n", f"\n{typed}\n")
    write(root, "/etc/mutation-agent/agent.toml", text)


def prepared():
    """The package as its README says to set it up, and a gateway beside it."""
    root = CleanRoot()
    root.install(package("0.1.0"))
    # As it was installed.
    shutil.copy(root.file("/etc/mutation-agent/agent.toml"), root.file("/usr/share/agent.toml"))
    shutil.copytree(ROOT / "examples/strategies", root.file("/etc/mutation-agent/strategies"))
    write(root, "/etc/mutation-agent/gateway.password", f"{PASSWORD}\n", 0o600)
    write(root, f"/etc/systemd/system/{SERVICE}.d/local.conf",
          "[Service]\nLoadCredential=gateway-password:/etc/mutation-agent/gateway.password\n")
    write(root, "/etc/mutation-agent/on-failure", '#!/bin/sh\necho "hook: $1 $MONITOR_SERVICE_RESULT $MONITOR_EXIT_CODE'
          ' $MONITOR_EXIT_STATUS $MONITOR_INVOCATION_ID uid $(id -u)"\n', 0o755)
    shutil.copy(shutil.which("prometheus-pushgateway"), root.file("/usr/bin/prometheus-pushgateway"))
    write(root, "/etc/pushgateway.yml", USERS)
    write(root, "/etc/systemd/system/pushgateway.service", "[Service]\nExecStart=prometheus-pushgateway"
          " --web.listen-address=:9091 --web.config.file=/etc/pushgateway.yml\n")
    write(root, "/etc/systemd/system/test.target", "[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n"
          "Wants=pushgateway.service timers.target dbus.socket\n")
    return root


class Night:
    """What systemd, the journal, the audit and the gateway say."""

    def __init__(self, root):
        self.root = root
        self.machine = Machine(root)

    def show(self, unit=SERVICE):
        """A unit's properties; those that it does not have are empty."""
        lines = self.machine("systemctl", "show", unit).stdout.splitlines()
        return defaultdict(str, (line.split("=", 1) for line in lines if "=" in line))

    def triggered(self, before):
        """Waits for the service to be started anew."""
        wait_for("the timer", lambda: self.show()["InvocationID"] not in ("", before))

    def fire(self):
        """Lets the timer start the service."""
        before = self.show()["InvocationID"]
        # Six nights in ten seconds are more than systemd starts without being told. Before the first, it knows of none.
        self.machine("systemctl", "reset-failed", TIMER, SERVICE, exits=None)
        self.machine("systemctl", "restart", TIMER)
        self.triggered(before)

    def ended(self, state, result, status):
        """Waits for its end, which must be this one."""
        shown = wait_for("the end", lambda: (shown := self.show())["ActiveState"] in ("inactive", "failed") and shown)
        found = shown["ActiveState"], shown["Result"], int(shown["ExecMainStatus"])
        assert found == (state, result, status), f"{found}\n{self.machine('journalctl', '--no-pager').stdout}"
        return shown

    def sitting(self):
        """Starts a batch, and waits until two evaluators sit beside their daemons: with the agent and two hosts, seven."""
        self.machine("systemctl", "start", "--no-block", SERVICE)
        wait_for("evaluators that sit", lambda: len(self.processes()) == 7)

    def under_way(self):
        """Waits until a long batch has said how far it is, and gives what it said."""
        return wait_for("STATUS=", lambda: (text := self.show()["StatusText"]).startswith("round ") and text)

    def journal(self, *matches):
        """Entries of the journal."""
        self.machine("journalctl", "--sync")
        lines = self.machine("journalctl", "--no-pager", "-o", "json", *matches).stdout.splitlines()
        return [json.loads(line) for line in lines]

    def failures(self):
        """What the failure template logged."""
        return [entry["MESSAGE"] for entry in self.journal("-u", f"mutation-agent-failure@{SERVICE}.service")
                if entry["SYSLOG_IDENTIFIER"] == "mutation-agent"]

    @property
    def data(self):
        """Where the dynamic user's files really are."""
        return self.root.file("/var/lib/private/mutation-agent")

    def records(self):
        """Every record of every sealed batch."""
        logs = sorted(path for path in (self.data / "audit").glob("*.jsonl*") if is_log(path))
        return [record for log in logs for record in read_log(log)]

    def processes(self):
        """Whoever is in the service's control group."""
        groups = [path for path in self.machine.group.rglob("cgroup.procs") if path.parent.name == SERVICE]
        return [line for path in groups for line in path.read_text().split()]

    def newest_manifest(self):
        """The manifest of the newest batch."""
        return json.loads(max((self.data / "audit").glob("*.manifest.json")).read_text())

    def shown(self, **batches):
        """The gateway shows the audit, and so many batches by status."""
        exposition = Exposition(self.machine.python(ASK, PASSWORD))
        holds_to(exposition, self.records(), job="exit_evolution")
        for status in ("completed", "failed", "interrupted", "crashed"):
            found = exposition.value("mutation_batches_total", status=status)
            equal(f"batches {status}", found, batches.get(status, 0))


def drop_in(root, night, name, lines):
    """As `systemctl edit` leaves it."""
    write(root, f"/etc/systemd/system/{SERVICE}.d/{name}.conf", f"[Service]\n{lines}\n")
    night.machine("systemctl", "daemon-reload")


def by_hand():
    """The README's command that sends what the unit would, and the same in the unit's comments, which must be it."""
    readme = re.search(r"```sh\n(systemd-run .*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    unit = (ROOT / f"systemd/{SERVICE}").read_text().replace("\n# ", "\n")
    assert " ".join(readme.split()) in " ".join(unit.split()), "the unit's comment has another command"
    return readme


def owned_by_the_dynamic_user(data):
    """Everything is the dynamic user's, and nobody else's to read."""
    owner = data.stat().st_uid
    assert 61184 <= owner <= 65519, f"uid {owner} is no dynamic user's"
    entries = [data, *data.rglob("*")]
    assert len(entries) > 10, entries
    for path in entries:
        stat = path.lstat()
        equal(f"owner of {path}", stat.st_uid, owner)
        if not path.is_symlink():
            equal(f"mode of {path}", stat.st_mode & 0o7777, 0o700 if path.is_dir() else 0o600)
    equal("mode of /var/lib/private", data.parent.stat().st_mode & 0o777, 0o700)


def evaluated(root, night):
    """Batches with an evaluator under the unit as it is; so many were completed, interrupted and crashed."""
    # The example as it stands in the installed config, with both limits, and the same in a stream.
    example = re.findall(r"^#(command = .*|memory = .*|cpu = .*)$", root.file("/usr/share/agent.toml").read_text(), re.M)
    equal("lines of the example", len(example), 3)
    stream = [*(line.replace('"{candidate}"', '"--stream"') for line in example), 'mode = "stream"']
    for lines in (example, stream):
        before = len(night.records())
        configure(root, rounds=2, mutations=20, evaluator="\n".join(lines))
        night.machine("systemctl", "start", SERVICE)
        night.ended("inactive", "success", 0)
        records = night.records()[before:]
        equal("records", len(records), 40)
        judged = [record for record in records if record["outcome"] != "duplicate"]
        assert len(judged) > 20 and all(record["fitness"] is not None for record in judged), records
        equal("processes left", night.processes(), [])

    # Root looks, and takes the patch by the README's command; what would write is refused.
    readme = (ROOT / "README.md").read_text()
    shows, takes = re.search(r"`(mutation-agent --config \S+ best --diff) momentum \| patch (-d \S+ -p1)`", readme).groups()
    diff = night.machine(*shows.split()).stdout
    takes = takes.replace("/etc/", f"{root.file('/etc/')}/")
    subprocess.run(["patch", "--dry-run", "--force", *takes.split()], input=diff, text=True, check=True)
    assert diff.count("\n+++ b/") >= 1, diff
    night.machine("mutation-agent", "--config", "/etc/mutation-agent/agent.toml", "promote", "momentum", exits=77)

    # Fenced in as the agent is; runtimes that compile, and data in /home, need a drop-in.
    write(root, "/home/quant/prices.csv", "day,close\n")
    judge = 'command = ["python3", "{}.py", "{{candidate}}"]\nworkers = 2'
    for name, text in {"sits": SITS, "fenced": FENCED}.items():
        write(root, f"/etc/mutation-agent/{name}.py", text)
    configure(root, rounds=1, mutations=4, evaluator=judge.format("fenced") + '\nmemory = "1GiB"\ncpu = "1m"')
    night.machine("systemctl", "start", SERVICE)
    night.ended("inactive", "success", 0)
    drop_in(root, night, "evaluators",
            "MemoryDenyWriteExecute=no\nProtectHome=tmpfs\nBindReadOnlyPaths=/home/quant/prices.csv")
    night.machine("systemctl", "start", SERVICE, exits=None)
    night.ended("failed", "exit-code", 1)
    said = [entry["MESSAGE"] for entry in night.journal("-t", "mutation-agent", "-p", "err")]
    assert any("allowed: home compile" in text for text in said), said

    # A stop in the middle of evaluations seals what was judged, and says of nothing that it failed.
    configure(root, rounds=1, mutations=100, evaluator=judge.format("sits"))
    before = len(night.records())
    night.sitting()
    night.machine("systemctl", "stop", SERVICE)
    night.ended("inactive", "success", 143)
    equal("the stopped batch", night.newest_manifest()["status"], "interrupted")
    equal("outcomes", [record["outcome"] for record in night.records()[before:]], ["success"] * 10)
    equal("processes left", night.processes(), [])

    # The agent alone is killed: nobody is left, and the next batch counts what was judged.
    night.sitting()
    night.machine("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)
    night.ended("failed", "signal", 9)
    equal("processes left", night.processes(), [])
    configure(root, rounds=1, mutations=10, evaluator=judge.format("sits"))
    night.machine("systemctl", "start", SERVICE)
    night.ended("inactive", "success", 0)
    equal("records", len(night.records()), before + 30)
    assert not (night.data / "evaluating").exists(), "candidates are left behind"


root = prepared()
# Made before the machine is up, whose time is limited.
next_version = package("0.1.1")
write(root, f"/etc/systemd/system/{TIMER}.d/now.conf", "[Timer]\nOnActiveSec=0\nRandomizedDelaySec=0\n")
night = Night(root)
wait_for("the gateway", lambda: night.machine("systemctl", "is-active", "pushgateway.service", exits=None).stdout)
equal("the timer is not enabled", night.machine("systemctl", "is-enabled", TIMER, exits=1).stdout, "disabled\n")

# Two nights by the timer: pushed with the password, kept by the dynamic user, counted on.
for number in (1, 2):
    configure(root, rounds=3)
    night.fire()
    shown = night.ended("inactive", "success", 0)
    assert "delivered to 1 of 1 gateways" in shown["StatusText"], shown["StatusText"]
    equal("records", len(night.records()), number * 300)
    night.shown(completed=number)
    owned_by_the_dynamic_user(night.data)
entries = [entry for entry in night.journal("-u", SERVICE) if entry["_TRANSPORT"] == "stdout"]
begun = [entry for entry in entries if "batch begins" in entry["MESSAGE"]]
equal("lines of the program", {entry["SYSLOG_IDENTIFIER"] for entry in entries}, {"mutation-agent"})
equal("priorities", {entry["PRIORITY"] for entry in begun}, {"6"})
assert len(begun) == 2 and all(entry["MESSAGE"].startswith("batch{") for entry in begun), begun
assert not any(entry["MESSAGE"].startswith("<") for entry in entries), "a priority was not understood"
assert PASSWORD not in str(night.journal()), "the password shows"

# Under way it is fenced in, and says how far it is; killed, it is told of.
configure(root, rounds=1_000_000)
night.fire()
assert " of 1000000: " in night.under_way()
pid = night.show()["MainPID"]
status = dict(line.split(":\t", 1) for line in night.machine("cat", f"/proc/{pid}/status").stdout.splitlines())
equal("the filter of system calls", status["Seccomp"], "2")
equal("new privileges", status["NoNewPrivs"], "1")
equal("capabilities", int(status["CapBnd"], 16), 0)
equal("the user", int(status["Uid"].split()[0]), night.data.stat().st_uid)
invocation = night.show()["InvocationID"]
# An upgrade leaves the batch alone, and starts nothing; the killed one is the one that was under way before.
shutil.copy(next_version, root.file("/next.deb"))
night.machine("dpkg", "--force-confold", "-i", "/next.deb")
equal("the batch after an upgrade", (night.show()["MainPID"], night.show()["InvocationID"]), (pid, invocation))
night.machine("systemctl", "kill", "--signal=KILL", SERVICE)
night.ended("failed", "signal", 9)
said = wait_for("the failure template", lambda: len(told := night.failures()) == 2 and told)
equal("the line", said[0], f"{SERVICE} failed: result signal, killed KILL; journalctl _SYSTEMD_INVOCATION_ID={invocation}")
assert said[1].startswith(f"hook: {SERVICE} signal killed KILL {invocation} uid "), said[1]
assert int(said[1].rsplit(" ", 1)[1]) >= 61184, said[1]
errors = night.journal("-t", "mutation-agent", "-p", "err")
equal("entries of priority err", [entry["MESSAGE"] for entry in errors], said[:1])

# The next night counts it once.
configure(root, rounds=3)
night.fire()
night.ended("inactive", "success", 0)
night.shown(completed=3, crashed=1)
warnings = [entry["MESSAGE"] for entry in night.journal("-t", "mutation-agent", "-p", "4..4")]
assert len(warnings) == 1 and "killed" in warnings[0], warnings

# A stop is sealed and no failure; neither is a gateway that is away.
configure(root, rounds=1_000_000)
night.fire()
night.under_way()
night.machine("systemctl", "stop", SERVICE)
night.ended("inactive", "success", 143)
equal("the stopped batch", night.newest_manifest()["status"], "interrupted")
night.shown(completed=3, crashed=1, interrupted=1)
configure(root, rounds=3)
night.machine("systemctl", "stop", "pushgateway.service")
night.fire()
shown = night.ended("inactive", "success", 75)
assert "delivered to 0 of 1 gateways" in shown["StatusText"], shown["StatusText"]
equal("failures told", len(night.failures()), 2)

# By hand: root looks as he is, without the credential, and sends by the README's command, as the unit's user.
root_says = ("mutation-agent", "--config", "/etc/mutation-agent/agent.toml")
refused = night.machine(*root_says, "push", exits=78).stderr
assert "$CREDENTIALS_DIRECTORY" in refused, refused
listed = night.machine(*root_says, "audit", "list").stdout
assert "\n6 batches, " in listed, listed
for command in (["audit", "verify"], ["audit", "prune", "--dry-run"], ["stats"]):
    night.machine(*root_says, *command)
checked = night.machine(*root_says, "check", exits=77).stdout
assert "warning: the password credential:gateway-password cannot be read here" in checked, checked
assert f"is owned by uid {night.data.stat().st_uid}" in checked, checked
away = night.machine("sh", "-c", by_hand(), exits=75).stdout
assert away.startswith("night: undelivered: "), away
night.machine("systemctl", "start", "pushgateway.service")
listens = ("bash", "-c", ": </dev/tcp/127.0.0.1/9091")
wait_for("the gateway", lambda: night.machine(*listens, exits=None).returncode == 0)
for command, said in {
    "push": "night: delivered\n",
    "audit verify --gateway": "6 batches, ",
    "check --gateway": "night  http://127.0.0.1:9091/metrics/",
    "audit prune": "0 batches gone ",
}.items():
    told = night.machine("sh", "-c", by_hand().replace("agent.toml push", f"agent.toml {command}")).stdout
    assert said in told, told
night.shown(completed=4, crashed=1, interrupted=1)
owned_by_the_dynamic_user(night.data)

# The README's crontab for the journal, with the config broken: mail with the code, the reason in the journal.
settings, command = list(crontabs())[1]
write(root, "/etc/mutation-agent/broken.toml", "[batch]\nround = 3\n")
before = len(night.journal("-t", "mutation-agent"))
mail = night.machine("env", f"PATH={settings['PATH']}", "sh", "-c", command.replace("agent.toml", "broken.toml")).stdout
equal("the mail", mail, "mutation-agent: exit code 78; journalctl -t mutation-agent\n")
said = [entry["MESSAGE"] for entry in night.journal("-t", "mutation-agent")[before:]]
assert said and "broken.toml:2:1" in said[0], said

# A gateway at a public address is out of reach, until a drop-in names it.
night.machine.python(ADDRESS, PUBLIC)
configure(root, rounds=3, gateway=PUBLIC)
night.fire()
shown = night.ended("inactive", "success", 75)
assert "delivered to 0 of 1 gateways" in shown["StatusText"], shown["StatusText"]
write(root, f"/etc/systemd/system/{SERVICE}.d/public.conf", f"[Service]\nIPAddressAllow={PUBLIC}\n")
# (Here and below: a timer that is active would fire at the reload as well, for its OnActiveSec=.)
night.machine("systemctl", "stop", TIMER)
night.machine("systemctl", "daemon-reload")
night.fire()
night.ended("inactive", "success", 0)
night.shown(completed=6, crashed=1, interrupted=1)
configure(root, rounds=3)

# The power goes, three days pass, and the timer of the package alone makes up for them, once, at the next boot.
night.machine("systemctl", "stop", TIMER)
night.machine("systemctl", "enable", TIMER)
night.machine.off()
write(root, f"/etc/systemd/system/{TIMER}.d/now.conf", "[Timer]\nRandomizedDelaySec=0\n")
stamp = root.file("/var/lib/systemd/timers/stamp-mutation-agent.timer")
before = len(night.records())
os.utime(stamp, times=(time.time() - 3 * 86400,) * 2)
night = Night(root)
night.triggered("")
night.ended("inactive", "success", 0)
equal("one night is made up for", len(night.records()), before + 300)
assert time.time() - stamp.stat().st_mtime < 60, "the stamp is old"
night.shown(completed=7, crashed=1, interrupted=1)
owned_by_the_dynamic_user(night.data)
night.machine("systemctl", "stop", TIMER)
evaluated(root, night)
night.shown(completed=11, failed=1, crashed=2, interrupted=2)
owned_by_the_dynamic_user(night.data)
night.machine.off()

print("timer, credential, crash, failure template, stop, a gateway that is away or fenced off, by hand, catch-up, evaluators: under a systemd of its own")
