"""An image and a node to run pods of it, as far as that goes without a container engine and a cluster.

The last stage of packaging/Containerfile is built by buildah; a pod gets its image's root, read-only, the volumes that its
manifest mounts, laid out and owned as a kubelet does it, and runs as process 1 of a namespace, as the user it says.
"""

import atexit
import json
import os
import re
import shutil
import socket
import stat
import struct
import subprocess
import threading
from pathlib import Path

import manifests
from clean_root import one_at_a_time, shared
from lib import BINARY, ENVIRONMENT, ROOT, end, temporary_folder, wait_for

CONTAINERFILE = (ROOT / "packaging/Containerfile").read_text()
STAGES = re.split(r"^(?=FROM )", CONTAINERFILE, flags=re.MULTILINE)[1:]
STATIC = ["-C", "target-feature=+crt-static"]


def run(*command, **more):
    """Runs a program that has to succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **more)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout


def static_binary():
    """The program linked as the Containerfile says, but for its profile. tests/run.sh has done so before the checks."""
    path = shared() / "mutation-agent-static"
    assert f"--release --bin mutation-agent -- {' '.join(STATIC)}\n" in STAGES[0], "the image is linked otherwise"
    with one_at_a_time():
        if not path.exists():
            environment = {**os.environ, "CARGO_TARGET_DIR": str(BINARY.parents[1])}
            build = ["cargo", "rustc", "--locked", "--bin", "mutation-agent", "--", *STATIC]
            run(*build, cwd=ROOT, env=environment)
            shutil.copy(BINARY, path)
            # What the other checks run is as it was.
            run("cargo", "build", "--locked", "--bin", "mutation-agent", cwd=ROOT, env=environment)
    return path


def mount(*arguments):
    """Mounts something until the check ends. The table of mounts is ours alone."""
    run("mount", *arguments)
    atexit.register(subprocess.run, ["umount", "--lazy", arguments[-1]], capture_output=True, check=False)


class Image:
    """The image's last stage over what the first one would have built, with an authority more in its store."""

    def __init__(self, authority):
        self.folder = temporary_folder()
        self.tool = ["buildah", "--storage-driver=vfs", f"--root={self.folder}/storage", f"--runroot={self.folder}/run"]
        built = self.folder / "built"
        (built / "etc/ssl/certs").mkdir(parents=True)
        store = Path("/etc/ssl/certs/ca-certificates.crt").read_text() + authority
        (built / "etc/ssl/certs/ca-certificates.crt").write_text(store)
        shutil.copytree("/usr/share/zoneinfo", built / "usr/share/zoneinfo", symlinks=True)
        (built / "src/target/release").mkdir(parents=True)
        run("strip", "-o", built / "src/target/release/mutation-agent", static_binary())
        file = self.folder / "Containerfile"
        file.write_text(f"FROM scratch AS build\nCOPY . /\n{STAGES[-1]}")
        run(*self.tool, "build", "--quiet", "--isolation=chroot", "--tag=agent", f"--file={file}", built)
        config = json.loads(run(*self.tool, "inspect", "--type=image", "agent"))["OCIv1"]["config"]
        self.user, self.entry_point, self.arguments = config["User"], config["Entrypoint"], config["Cmd"]
        self.root = Path(run(*self.tool, "mount", run(*self.tool, "from", "agent").strip()).strip())
        atexit.register(subprocess.run, ["umount", "--lazy", self.root], capture_output=True, check=False)

    def files(self):
        """What is in it, time zones left out."""
        names = {str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()}
        return sorted(name for name in names if not name.startswith("usr/share/zoneinfo/"))


class LargerImage:
    """The static program and the example evaluator in a system with sh, rclone and Python, which is this machine's."""

    def __init__(self, image):
        folder = temporary_folder()
        mount("-t", "tmpfs", "tmpfs", folder)
        for name in ("upper", "work", "root"):
            (folder / name).mkdir()
        self.root, self.entry_point = folder / "root", image.entry_point
        mount("-t", "overlay", "overlay", f"--options=lowerdir=/,upperdir={folder}/upper,workdir={folder}/work", self.root)
        shutil.copy(image.root / "usr/bin/mutation-agent", self.root / "usr/bin/mutation-agent")
        (self.root / "opt/evaluator").mkdir(parents=True)
        for name in ("backtest.py", "prices.csv"):
            shutil.copy(ROOT / "examples/evaluators" / name, self.root / "opt/evaluator" / name)


def projected(files, mode, group):
    """A folder as a kubelet mounts it for a ConfigMap or Secret: links into a folder behind a link, all of it root's."""
    folder = temporary_folder()
    (folder / "..2026_11_28").mkdir()
    (folder / "..data").symlink_to("..2026_11_28")
    for name, text in files.items():
        (folder / "..data" / name).write_text(text)
        (folder / "..data" / name).chmod(mode)
        os.chown(folder / "..data" / name, 0, group)
        (folder / name).symlink_to(f"..data/{name}")
    folder.chmod(0o755)
    return folder


def hand_over(folder, group, policy):
    """What a kubelet does for `fsGroup` when it mounts a volume (kubernetes, pkg/volume/volume_linux.go)."""
    status = folder.stat()
    wanted = stat.S_ISGID | 0o770
    if policy == "OnRootMismatch" and status.st_gid == group and status.st_mode & wanted == wanted:
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, -1, group, follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (wanted if path.is_dir() else 0o660))


class Node:
    """Runs pods of an image. `by_hand` has what is created without a manifest: the files of Secrets and ConfigMaps."""

    def __init__(self, image, by_hand):
        self.image, self.by_hand = image, by_hand
        self.claims = {}
        for name in ("etc", "proc", "dev"):
            (image.root / name).mkdir(exist_ok=True)
        (image.root / "dev/null").unlink(missing_ok=True)
        os.mknod(image.root / "dev/null", stat.S_IFCHR, os.makedev(1, 3))
        (image.root / "dev/null").chmod(0o666)
        (image.root / "etc/hosts").write_text("127.0.0.1 localhost\n")
        (image.root / "etc/resolv.conf").write_text(
            "nameserver 127.0.0.1\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n")

    def claim(self, name):
        """The folder of a volume; new, it is as a new file system."""
        if name not in self.claims:
            self.claims[name] = temporary_folder()
            self.claims[name].chmod(0o755)
        return self.claims[name]

    def _source(self, volume, group, changes):
        if "persistentVolumeClaim" in volume:
            return self.claim(volume["persistentVolumeClaim"]["claimName"])
        if "emptyDir" in volume:
            folder = temporary_folder()
            folder.chmod(0o777)
            return folder
        if "secret" in volume:
            secret = volume["secret"]
            return projected(self.by_hand["Secret", secret["secretName"]], secret["defaultMode"], group)
        name = volume["configMap"]["name"]
        files = self.by_hand.get(("ConfigMap", name)) or manifests.named("ConfigMap", name)["data"]
        return projected({key: changes(text) for key, text in files.items()}, 0o644, group)

    def start(self, pod, *arguments, environment=None, changes=lambda text: text, policy=None):
        """Starts a pod, with other arguments after `--config FILE` if there are some. Its ConfigMaps pass through
        `changes`, and `policy` takes the place of its fsGroupChangePolicy."""
        context, [container] = pod["securityContext"], pod["containers"]
        root = temporary_folder() / "root"
        root.mkdir()
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        for mount in mounts.values():
            # A container's runtime makes the places where it mounts.
            (self.image.root / mount["mountPath"].lstrip("/")).mkdir(parents=True, exist_ok=True)
        self._bind(self.image.root, root, read_only=True)
        for volume in pod["volumes"]:
            source = self._source(volume, context["fsGroup"], changes)
            mount = mounts[volume["name"]]
            if not mount.get("readOnly"):
                hand_over(source, context["fsGroup"], policy or context["fsGroupChangePolicy"])
            self._bind(source, root / mount["mountPath"].lstrip("/"), read_only=mount.get("readOnly", False))
        words = container.get("args", [])
        if arguments:
            words = [*words[:2], *arguments]
        process = subprocess.Popen(
            ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc", "setpriv", "--no-new-privs",
             "chroot", f"--userspec={context['runAsUser']}:{context['runAsGroup']}", f"--groups={context['fsGroup']}",
             root, *container.get("command", self.image.entry_point), *words],
            env={"PATH": ENVIRONMENT["PATH"]} | {one["name"]: one["value"] for one in container["env"]} | (environment or {}),
            cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        atexit.register(end, process)
        return process

    def __call__(self, pod, *arguments, exits=0, **more):
        """Runs a pod to its end and holds it to an exit code."""
        process = self.start(pod, *arguments, **more)
        output, errors = process.communicate(timeout=120)
        assert process.returncode == exits, f"{arguments}: exit code {process.returncode}, not {exits}\n{output}{errors}"
        return output + errors

    @staticmethod
    def _bind(source, target, read_only):
        mount("--bind", source, target)
        if read_only:
            run("mount", "--options=remount,bind,ro", target)


def first_process(unshare):
    """The pod's process 1, by its number out here, once it is the agent."""
    def find():
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
        agents = [int(child) for child in children if Path(f"/proc/{child}/exe").readlink().name == "mutation-agent"]
        return agents and agents[0]
    return wait_for("process 1", find)


class NameServer:
    """One that knows the service `name` of a cluster, at 127.0.0.1, and nothing else; what it was asked is in `asked`."""

    def __init__(self, name):
        self.name, self.asked = f"{name}.cluster.local", []
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            query, sender = self.socket.recvfrom(512)
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = int.from_bytes(query[at + 1 : at + 3], "big")
            self.asked.append(".".join(labels))
            known = self.asked[-1] == self.name
            # An A record that refers to the question's name; for AAAA there is none.
            answer = bytes.fromhex("c00c 0001 0001 00000005 0004 7f000001") if known and kind == 1 else b""
            head = query[:2] + struct.pack("!5H", 0x8580 if known else 0x8583, 1, 1 if answer else 0, 0, 0)
            self.socket.sendto(head + query[12 : at + 5] + answer, sender)
