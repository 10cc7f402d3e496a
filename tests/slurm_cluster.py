"""A real SLURM cluster on this machine: munge, slurmctld, a slurmd for each node, slurmdbd where accounting is asked.

Cores, memory and GPUs of the nodes are declared and need not exist. Needs root and the Debian packages; nothing of it
stays when it is stopped.

    python tests/slurm_cluster.py install       the packages
    python tests/slurm_cluster.py run COMMAND   a cluster of two nodes while the command runs
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ["slurmctld", "slurmd", "slurm-client", "slurm-wlm-basic-plugins", "munge", "procps"]
ACCOUNTING = ["slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server"]
#: Where every SLURM program looks: Snakemake's plugin hands SLURM_CONF to none of those it starts.
ETC = Path("/etc/slurm")
#: Devices that can pass for GPUs: a GPU needs a file.
DEVICES = ["null", "zero", "full", "random"]

CONFIGURATION = """\
ClusterName=loop
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort=16817
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# a job that is queued again may begin after as many seconds: two minutes by default
AuthInfo=cred_expire=20
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
SwitchType=switch/none
MpiDefault=none
SlurmdParameters=config_overrides
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1,sched_min_interval=0
MinJobAge={min_job_age}
KillWait=10
SlurmdTimeout=15
InactiveLimit=0
OverTimeLimit=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
{accounting}
{nodes}
PartitionName=main Nodes=ALL Default=YES DefaultTime=60 PriorityTier=1 PreemptMode=OFF
PartitionName=requeued Nodes=ALL DefaultTime=60 PriorityTier=1 PreemptMode=REQUEUE
PartitionName=cancelled Nodes=ALL DefaultTime=60 PriorityTier=1 PreemptMode=CANCEL
PartitionName=high Nodes=ALL DefaultTime=60 PriorityTier=10 PreemptMode=OFF
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} Boards=1 SocketsPerBoard=1 "
    "CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory} Gres=gpu:fake:{gpus} State=UNKNOWN"
)
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819"""
DATABASE_DAEMON = """\
AuthType=auth/munge
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=16306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/run/slurmdbd.pid
"""
GRANTS = """\
create database if not exists slurm_acct_db;
create user if not exists 'slurm'@'%' identified by 'slurm'; grant all on slurm_acct_db.* to 'slurm'@'%';
create user if not exists 'slurm'@'localhost' identified by 'slurm';
grant all on slurm_acct_db.* to 'slurm'@'localhost';
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster whose files are in ``folder``."""

    folder: Path
    nodes: int = 2
    cpus: int = 16
    memory: int = 128_000
    gpus: int = 4
    accounting: bool = False
    min_job_age: int = 300

    def up(self) -> None:
        """Start everything, with no jobs and all nodes idle."""
        for name in ("state", "log", "run", "mysql", *(f"spool/{node}" for node in self.names)):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self._configure()
        self._munge()
        if self.accounting:
            self._database()
            self.start_accounting()
            for words in (
                "add cluster loop",
                "add account bench Description=b Organization=b",
                "add user root Account=bench",
            ):
                subprocess.run(["sacctmgr", "-i", *words.split()], capture_output=True, check=False)
        self.start_controller("-c")
        for node in self.names:
            self.start_node(node)
        until(lambda: self._idle() == self.nodes, f"{self.nodes} idle nodes, see {self.folder}/log")

    def down(self) -> None:
        """Stop everything that this started, by its pid."""
        subprocess.run(["scancel", "-u", "root"], capture_output=True, timeout=30, check=False)
        until(lambda: not told("squeue", "-h"), "an empty queue", 60)
        for name in (*(f"slurmd-{node}" for node in self.names), "slurmctld", "slurmdbd", "mariadbd", "munged"):
            self.stop(name)
        for file in ETC.iterdir():
            if file.is_symlink() and self.folder in Path(os.readlink(file)).parents:
                file.unlink()

    @property
    def names(self) -> list[str]:
        """Names of the nodes."""
        return [f"n{place}" for place in range(1, self.nodes + 1)]

    def start_controller(self, *options: str) -> None:
        """Start slurmctld and wait until it answers."""
        subprocess.run(["slurmctld", *options], check=True)
        until(lambda: "UP" in told("scontrol", "ping"), "slurmctld")

    def start_node(self, node: str, without: Path | None = None) -> None:
        """Start slurmd; ``without`` is a folder that the node does not share: it has an empty one of its own there."""
        daemon = ["slurmd", "-N", node]
        if without:
            mounted = f'mount -t tmpfs none {shlex.quote(str(without))} && exec "$@"'
            daemon = ["unshare", "--mount", "--propagation", "private", "sh", "-c", mounted, "sh", *daemon]
        subprocess.run(daemon, check=True)
        until(lambda: self._pid(f"slurmd-{node}"), f"slurmd of {node}")

    def start_accounting(self) -> None:
        """Start slurmdbd and wait until it answers."""
        subprocess.run(["slurmdbd"], check=True)
        until(lambda: answers("sacctmgr", "-n", "show", "cluster"), "slurmdbd")

    def stop(self, daemon: str, number: int = signal.SIGTERM) -> None:
        """End one of the daemons, and wait until it has ended."""
        pid = self._pid(daemon)
        if pid is not None:
            os.kill(pid, number)
            until(lambda: not Path(f"/proc/{pid}").exists(), f"the end of {daemon}")
            (self.folder / f"run/{daemon}.pid").unlink(missing_ok=True)

    def crash(self, node: str) -> None:
        """End a node as a power cut does: slurmd, and all that runs on it, at once."""
        kill_tree(self._pid(f"slurmd-{node}"))
        for line in told("pgrep", "-af", "slurmstepd").splitlines():
            pid = int(line.split()[0])
            if f"SLURMD_NODENAME={node}" in children_environment(pid):
                kill_tree(pid)
        (self.folder / f"run/slurmd-{node}.pid").unlink(missing_ok=True)

    def _pid(self, daemon: str) -> int | None:
        file = self.folder / f"run/{daemon}.pid"
        pid = int(file.read_text()) if file.exists() else None
        return pid if pid and Path(f"/proc/{pid}").exists() else None

    def _idle(self) -> int:
        return len(set(told("sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N").split()))

    def _configure(self) -> None:
        host, facts = os.uname().nodename.split(".")[0], {"folder": self.folder}
        ports = enumerate(self.names, 17001)
        sizes = {"cpus": self.cpus, "memory": self.memory, "gpus": self.gpus}
        nodes = [NODE.format(name=name, host=host, port=port, **sizes) for port, name in ports]
        accounting = WITH_ACCOUNTING if self.accounting else "AccountingStorageType=accounting_storage/none"
        facts |= {"host": host, "min_job_age": self.min_job_age, "accounting": accounting, "nodes": "\n".join(nodes)}
        gpus = [
            f"NodeName={name} Name=gpu Type=fake Flags=nvidia_gpu_env File=/dev/{device}"
            for name in self.names
            for device in DEVICES[: self.gpus]
        ]
        files = {
            "slurm.conf": CONFIGURATION.format(**facts),
            "gres.conf": "\n".join(["AutoDetect=off", *gpus, ""]),
            "cgroup.conf": "CgroupAutomount=no\nConstrainCores=no\nConstrainRAMSpace=no\nConstrainDevices=no\n",
        }
        if self.accounting:
            files["slurmdbd.conf"] = DATABASE_DAEMON.format(host=host, folder=self.folder)
        ETC.mkdir(exist_ok=True)
        for name, text in files.items():
            file = self.folder / name
            file.write_text(text)
            file.chmod(0o600 if name == "slurmdbd.conf" else 0o644)
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(file)

    def _munge(self) -> None:
        if answers("munge", "-n"):
            return
        Path("/run/munge").mkdir(exist_ok=True)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = {
            "key-file": key,
            "pid-file": self.folder / "run/munged.pid",
            "log-file": self.folder / "log/munged.log",
        }
        files |= {"seed-file": self.folder / "munge.seed", "socket": "/run/munge/munge.socket.2"}
        subprocess.run(["munged", "--force", *(f"--{name}={path}" for name, path in files.items())], check=True)
        until(lambda: answers("munge", "-n"), "munged")

    def _database(self) -> None:
        data, socket = self.folder / "mysql", self.folder / "run/mysql.sock"
        usual = ["--no-defaults", "--user=root", f"--datadir={data}"]
        subprocess.run(
            ["mariadb-install-db", *usual, "--auth-root-authentication-method=normal", "--skip-test-db"],
            capture_output=True,
            check=True,
        )
        pid = f"--pid-file={self.folder / 'run/mariadbd.pid'}"
        words = ["mariadbd", *usual, f"--socket={socket}", pid, "--port=16306", "--bind-address=127.0.0.1"]
        # a daemon, which is no child to be waited for
        quiet = subprocess.DEVNULL
        subprocess.run(["setsid", "--fork", *words], stdout=quiet, stderr=quiet, check=True)
        client = ["--no-defaults", f"--socket={socket}"]
        until(lambda: answers("mariadb-admin", *client, "ping"), "mariadbd", 60)
        subprocess.run(["mariadb", *client, "-e", GRANTS], check=True)


def told(*words: str) -> str:
    """What a command prints; nothing where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    return "" if done.returncode else done.stdout


def answers(*words: str) -> bool:
    """Whether a command succeeds."""
    return subprocess.run(words, capture_output=True, timeout=30, check=False).returncode == 0


def until(ready: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for something that is looked at ten times a second."""
    due = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < due, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def children_environment(pid: int) -> str:
    """The environment of a process's children."""
    found = [Path(f"/proc/{child}/environ") for child in told("pgrep", "-P", str(pid)).split()]
    return " ".join(path.read_text().replace("\0", " ") for path in found if path.exists())


def kill_tree(pid: int | None) -> None:
    """SIGKILL for a process and all below it."""
    if pid is None:
        return
    below = told("pgrep", "-P", str(pid)).split()
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    for child in below:
        kill_tree(int(child))


def why_not(accounting: bool = False) -> str | None:
    """Why no cluster can be started here; None if one can."""
    programs = ["slurmctld", "slurmd", "sbatch", "munged", *(["slurmdbd", "mariadbd"] if accounting else [])]
    if os.geteuid() != 0:
        return "a SLURM cluster is started by root"
    if missing := [name for name in programs if shutil.which(name) is None]:
        return f"found no {', '.join(missing)} here; python tests/slurm_cluster.py install"
    if (ETC / "slurm.conf").exists() and not abandoned():
        return f"{ETC}/slurm.conf: this machine belongs to a SLURM cluster, or one is running already"
    return None


def abandoned() -> bool:
    """Whether the configuration is that of a cluster of ours that was killed before it could take it away."""
    configuration = ETC / "slurm.conf"
    if not configuration.is_symlink():
        return False
    pid = Path(os.readlink(configuration)).with_name("run") / "slurmctld.pid"
    running = Path("/proc", pid.read_text().strip(), "comm") if pid.exists() else None
    return running is None or not running.exists() or running.read_text().strip() != "slurmctld"


@contextmanager
def running(**settings: object) -> Iterator[Cluster]:
    """A cluster while the block runs."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="slurm-")), **settings)  # type: ignore[arg-type]
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()
        shutil.rmtree(cluster.folder)


def install() -> int:
    """Install the packages, accounting's too; apt's exit code."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    words = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *PACKAGES, *ACCOUNTING]
    return subprocess.call(words, env=environment, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    if sys.argv[1] == "install":
        sys.exit(install())
    if reason := why_not():
        sys.exit(f"no SLURM cluster: {reason}")
    with running():
        sys.exit(subprocess.call(sys.argv[2:]))
