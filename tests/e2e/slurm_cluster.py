"""A real Slurm of one node on the loopback interface, with a munged, ports and folders of its own."""

import atexit
import os
import subprocess
from pathlib import Path

from lib import ENVIRONMENT, end, free_port, temporary_folder, wait_for

# No cgroups, no accounting, nothing but 127.0.0.1; the scheduler does not wait for more jobs to come.
CONF = """
ClusterName=e2e
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={slurmd}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_interval=1
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8192
PartitionName=night Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""


class Slurm:
    """munged, slurmctld and slurmd, until the check ends."""

    def __init__(self, cpus):
        self.folder = temporary_folder()
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        self.conf = self.folder / "slurm.conf"
        self.environment = ENVIRONMENT | {"SLURM_CONF": str(self.conf)}
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        # --force: its folder is ours alone, and it would like that of its socket to be open to all.
        self._start("/usr/sbin/munged", "--foreground", "--force", "--num-threads=1",
                    *(f"--{name}={self.folder}/munge.{name.split('-')[0]}"
                      for name in ("socket", "key-file", "pid-file", "log-file", "seed-file")))
        wait_for("munged", lambda: (self.folder / "munge.socket").exists())
        self.conf.write_text(CONF.format(folder=self.folder, ctld=free_port(), slurmd=free_port(), cpus=cpus))
        self._start("/usr/sbin/slurmctld", "-D", "-f", self.conf)
        self._start("/usr/sbin/slurmd", "-D", "-N", "localhost", "-f", self.conf)
        wait_for("the node", lambda: self("sinfo", "--noheader", "--format=%T", exits=None) == "idle\n")

    def _start(self, program, *arguments):
        with (self.folder / f"{Path(program).name}.log").open("w") as log:
            process = subprocess.Popen([program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env=self.environment, start_new_session=True)
        atexit.register(end, process)

    def __call__(self, *command, exits=0, cwd=None, environment=None):
        """What one of Slurm's commands prints."""
        done = subprocess.run(list(map(str, command)), env=self.environment | (environment or {}), cwd=cwd,
                              capture_output=True, text=True, timeout=60, check=False)
        assert exits in (None, done.returncode), f"{command}: {done.stdout}{done.stderr}{self.logs()}"
        return done.stdout

    def logs(self):
        """The ends of what the daemons said."""
        return "".join(f"\n{path.name}:\n{path.read_text()[-2000:]}" for path in sorted(self.folder.glob("*.log")))

    def tasks(self, job):
        """State and exit code of each task of an array, by its number."""
        shown = self("scontrol", "--oneliner", "show", "job", job)
        fields = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in shown.splitlines()]
        return {int(task["ArrayTaskId"]): (task["JobState"], task["ExitCode"]) for task in fields
                if task["ArrayTaskId"].isdigit()}
