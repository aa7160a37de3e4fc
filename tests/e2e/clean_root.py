"""A Debian of its own in a folder, without anything of ours, and packages of ours to install there.

Both take a while, so tests/run.sh names a folder (SHARED) in which one check leaves them for the next.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from lib import BINARY, ENVIRONMENT, ROOT, temporary_folder

SHARED = Path(os.environ.get("SHARED") or temporary_folder())
INSIDE = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def become_root():
    """Starts this check again by sudo, unless that is not needed."""
    if os.geteuid() != 0:
        kept = [f"{name}={os.environ[name]}" for name in ("PATH", "HOME", "TMPDIR", "SHARED", "MUTATION_AGENT")
                if name in os.environ]
        os.execvp("sudo", ["sudo", "-n", "env", *kept, sys.executable, *sys.argv])


def package(version):
    """The package under a version number, made from the binary that all checks use."""
    path = SHARED / f"mutation-agent_{version}.deb"
    if not path.exists():
        made = subprocess.run(
            [ROOT / "packaging/build-deb.sh", "--fast", "--deb-version", version, "--output", path],
            env={**os.environ, "PROFILE": "dev", "CARGO_TARGET_DIR": str(BINARY.parents[1])},
            capture_output=True, text=True, check=False,
        )
        assert made.returncode == 0, made.stderr
    return path


class CleanRoot:
    """A copy of the small Debian, with systemd installed and nothing running."""

    def __init__(self):
        pristine = SHARED / "clean-root"
        if not pristine.exists():
            self._bootstrap(pristine)
        self.path = temporary_folder() / "root"
        subprocess.run(["cp", "-a", "--reflink=auto", pristine, self.path], check=True)

    @staticmethod
    def _bootstrap(pristine):
        # Beside what this machine's apt knows: the one archive that everybody can reach.
        source = "deb http://deb.debian.org/debian bookworm main"
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--include=systemd", "bookworm",
             f"{pristine}.new", source],
            env=ENVIRONMENT, capture_output=True, text=True, check=False,
        )
        assert made.returncode == 0, made.stderr
        shutil.move(f"{pristine}.new", pristine)

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
