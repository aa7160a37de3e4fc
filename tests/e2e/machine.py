"""systemd as PID 1 of a clean Debian, in namespaces of its own.

A systemd that shared this machine's files would tidy up /tmp and /run as it does at each boot. So its root is a folder
of ours, entered by pivot_root with the old root detached before systemd is started; sysctls and sysfs are read-only,
devices are a handful in a tmpfs, all units but those that are wanted are masked, and nothing outlives LIMIT seconds.
Files here and the table of mounts are compared before and after.
"""

import atexit
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from clean_root import INSIDE
from lib import end, equal, wait_for

LIMIT = 120
# The journal, and what systemd-run --wait talks over.
KEPT = ("systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket", "dbus.service",
        "dbus.socket")
# In new namespaces, still with this machine's files.
ENTER = """
set -eu
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs dev
while read -r name major minor; do
    mknod -m 666 "dev/$name" c "$major" "$minor"
done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
ln -s pts/ptmx dev/ptmx
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
mkdir -p old-root
pivot_root . old-root
cd /
umount -l /old-root
# Nothing of this machine is left, or nothing is started.
test -e /clean-root && test ! -e /old-root/etc
# LoadCredential= hands its files over by a mount that must reach the unit.
mount --make-rshared /
# Version 2 of control groups alone, where a group of its own was made for it.
exec env -i container=test PATH="$PATH" /lib/systemd/systemd --unit=test.target --show-status=no --log-target=journal \
    systemd.unified_cgroup_hierarchy=1
"""


class Canaries:
    """What a systemd that got out would change first."""

    def __init__(self):
        self.files = []
        for place in ("/tmp", "/var/tmp", "/var/log", "/etc", "/run"):
            handle, path = tempfile.mkstemp(prefix="mutation-agent-canary-", dir=place)
            os.write(handle, b"alive\n")
            os.close(handle)
            self.files.append(Path(path))
            atexit.register(Path(path).unlink, missing_ok=True)
        self.before = self._look()

    def _look(self):
        files = {path: (path.read_text(), path.stat().st_mtime_ns, path.stat().st_mode) for path in self.files}
        places = {place: os.stat(place).st_mode for place in ("/tmp", "/var/tmp", "/run", "/dev", "/dev/null")}
        mounts = [self._mounts(who) for who in (os.getppid(), "self")]
        return files, places, mounts

    @staticmethod
    def _mounts(who):
        """Where something is mounted, but for the folders of checks, which mount and unmount there beside us."""
        places = (line.split()[4] for line in open(f"/proc/{who}/mountinfo"))
        return sorted(place for place in places if "/mutation-agent-e2e-" not in place)

    def assert_alive(self):
        """Fails where anything is otherwise."""
        equal("files and mounts of this machine", self._look(), self.before)


def masked(root):
    """Leaves systemd nothing to do but what is kept, and what is ours."""
    kinds = {".service", ".timer", ".socket", ".path", ".mount", ".automount", ".swap"}
    for unit in root.file("/usr/lib/systemd/system").iterdir():
        if unit.suffix in kinds and unit.name not in KEPT and not unit.name.startswith("mutation-agent"):
            link = root.file(f"/etc/systemd/system/{unit.name}")
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")


class Machine:
    """A booted clean root. It is gone when the check ends, or at `off`."""

    def __init__(self, root):
        self.canaries = Canaries()
        root.file("/clean-root").touch()
        root.file("/etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        masked(root)
        self.group = control_group() / f"mutation-agent-e2e-{os.getpid()}"
        self.group.mkdir()
        self.init = None
        atexit.register(self._kill)
        enter = 'echo $$ >"$GROUP/cgroup.procs"; exec timeout -s KILL "$LIMIT"' \
            ' unshare --mount --pid --fork --cgroup --ipc --uts --net --kill-child sh -c "$ENTER" sh "$TREE"'
        self.process = subprocess.Popen(
            ["sh", "-c", enter], start_new_session=True,
            env={"PATH": os.environ["PATH"], "LIMIT": str(LIMIT), "ENTER": ENTER, "TREE": str(root.path),
                 "GROUP": str(self.group)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        self.init = wait_for("systemd", self._find_init, LIMIT)
        wait_for("the boot", lambda: self("systemctl", "is-active", "test.target", exits=None).stdout == "active\n",
                 LIMIT)
        self.canaries.assert_alive()

    def _find_init(self):
        """The only child of unshare, once it has become systemd."""
        assert self.process.poll() is None, self.process.stdout.read()
        pid = self.process.pid
        for _ in range(2):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            if not children:
                return None
            pid = int(children[0])
        return pid if Path(f"/proc/{pid}/comm").read_text() == "systemd\n" else None

    def __call__(self, *command, exits=0):
        """Runs a command beside systemd, in all of its namespaces."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", "--mount", "--uts", "--ipc", "--net", "--pid", "--root", "--wd",
             *map(str, command)],
            env=INSIDE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
        )
        told = f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert exits in (None, done.returncode), told
        return done

    def python(self, script, *arguments):
        """Runs a script of this machine's Python on the other one's network."""
        done = subprocess.run(
            ["nsenter", f"--target={self.init}", "--net", sys.executable, "-c", script, *arguments],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=LIMIT, check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def off(self):
        """Power cut: every process is gone at once."""
        self._kill()
        self.canaries.assert_alive()

    def _kill(self):
        """Kills `timeout` and `unshare`, which together are a process group; systemd goes with `unshare`."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        end(self.process)
        wait_for("the end of all processes", lambda: not self._processes())
        for folder, _, _ in os.walk(self.group, topdown=False):
            wait_for("an empty control group", lambda: removed(folder))

    def _processes(self):
        """Whoever is still in the control group, or in one below it."""
        return [line for path in self.group.rglob("cgroup.procs") for line in path.read_text().split()]


def removed(group):
    """Whether the control group is gone; it stays while its last process ends."""
    try:
        os.rmdir(group)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def control_group():
    """Our own control group of version 2, below which a systemd makes its own."""
    own = next(line.rstrip("\n")[3:] for line in open("/proc/self/cgroup") if line.startswith("0::"))
    for line in open("/proc/self/mountinfo"):
        mount, _, system = line.partition(" - ")
        if system.startswith("cgroup2 "):
            root, place = mount.split()[3:5]
            return Path(place) / os.path.relpath(own, root)
    raise AssertionError("control groups of version 2 are mounted nowhere")
