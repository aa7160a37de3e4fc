"""A Debian of its own in memory, without anything of ours, and packages of ours to install there.

Both take a while, so tests/run.sh names a folder (SHARED) in which one check leaves them for the next.
"""

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

from lib import BINARY, ENVIRONMENT, ROOT, temporary_folder

INSIDE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def alone(network=False):
    """Starts this check again as root and with a table of mounts of its own, unless it was; with `network`, all ports of
    127.0.0.1 are its own too."""
    kept = [f"{name}={os.environ[name]}" for name in ("PATH", "HOME", "TMPDIR", "SHARED", "MUTATION_AGENT")
            if name in os.environ]
    if os.geteuid() != 0:
        os.execvp("sudo", ["sudo", "-n", "env", *kept, sys.executable, *sys.argv])
    table = os.readlink("/proc/self/ns/mnt")
    if os.environ.setdefault("NOT_ALONE", table) == table:
        os.execvp("unshare", ["unshare", "--mount", "--propagation=private", *(["--net"] if network else []),
                              sys.executable, *sys.argv])
    if network:
        IFF_UP, SIOCSIFFLAGS = 1, 0x8914
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))


@functools.cache
def shared():
    """Where to leave things for the next check."""
    return Path(os.environ.get("SHARED") or temporary_folder())


def in_memory():
    """A folder that only this check sees; thousands of small files take their time on a disk."""
    folder = temporary_folder()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder], check=True)
    atexit.register(subprocess.run, ["umount", "--lazy", folder], check=True)
    return folder


@contextlib.contextmanager
def one_at_a_time():
    """Of checks that run at once, one makes what they share, and the others wait for it."""
    with (shared() / "clean-root.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def package(version):
    """The package under a version number, made from the binary that all checks use."""
    path = shared() / f"mutation-agent_{version}.deb"
    with one_at_a_time():
        if not path.exists():
            _build(version, path)
    return path


def _build(version, path):
    made = subprocess.run(
        [ROOT / "packaging/build-deb.sh", "--fast", "--deb-version", version, "--output", path],
        env={**os.environ, "PROFILE": "dev", "CARGO_TARGET_DIR": str(BINARY.parents[1])},
        capture_output=True, text=True, check=False,
    )
    assert made.returncode == 0, made.stderr


class CleanRoot:
    """A small Debian, with systemd, D-Bus and Python installed and nothing running."""

    def __init__(self):
        archive = shared() / "clean-root.tar"
        folder = in_memory()
        with one_at_a_time():
            if not archive.exists():
                self._bootstrap(archive, folder)
        self.path = folder / "root"
        self.path.mkdir()
        subprocess.run(["tar", "--numeric-owner", "-xpf", archive, "-C", self.path], check=True)

    @staticmethod
    def _bootstrap(archive, folder):
        # Not what this machine's apt knows: the one archive that everybody can reach.
        source = "deb http://deb.debian.org/debian bookworm main"
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=systemd,dbus,python3", "--format=tar",
             "bookworm", f"{archive}.new", source],
            env={**ENVIRONMENT, "TMPDIR": str(folder)}, capture_output=True, text=True, check=False,
        )
        assert made.returncode == 0, made.stderr
        shutil.move(f"{archive}.new", archive)

    def __call__(self, *command, exits=0):
        """Runs a command in there, with no more of this machine than its kernel and network."""
        done = subprocess.run(
            ["chroot", self.path, *map(str, command)],
            env=INSIDE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )
        told = f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        assert exits in (None, done.returncode), told
        return done

    def install(self, package, *options):
        """Installs or upgrades; what dpkg says comes back."""
        shutil.copy(package, self.path / "package.deb")
        done = self("dpkg", *options, "-i", "/package.deb")
        (self.path / "package.deb").unlink()
        return done.stdout + done.stderr

    def file(self, name):
        """A path as it is from outside."""
        return self.path / name.lstrip("/")
