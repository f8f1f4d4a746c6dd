"""A private Slurm of two virtual nodes with four pretended GPUs each, out of Debian's packages, without systemd.

It lives in a network and mount namespace of its own: only loopback exists there, and the nodes' names resolve to it.
Its clients are wrappers in ``bin/``, as jobs keep no SLURM_CONF. Every daemon is stopped by its process id.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("srun", "sbatch", "scancel", "scontrol", "sinfo", "squeue", "salloc", "sacct", "sacctmgr")
NODES = ("node1", "node2")
GPUS, CPUS, MEMORY = 4, 64, 256_000

# 192.0.2.77 is a documentation address: without one besides 127.0.0.1, Slurm cannot resolve any name.
_NAMESPACE = """
ip link set lo up && ip addr add 192.0.2.77/32 dev lo && mount --bind "$1" /etc/hosts && echo ready
exec sleep infinity
"""

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={controller_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/%n.log
SlurmdParameters=config_overrides
SlurmdTimeout=10
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MailProg=/bin/true
MinJobAge=7200
DefMemPerCPU=200
KillWait=5
OverTimeLimit=0
JobRequeue=1
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE DefaultTime=10 State=UP PriorityTier=2
"""


def is_installed() -> bool:
    """Whether this machine has what a private cluster needs."""
    places = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    return all(shutil.which(name, path=places) for name in (*DAEMONS, "sbatch", "unshare", "nsenter", "ip"))


class Cluster:
    """Start with `start`, use `run` and `popen`, end with `stop`. ``folder``: short, as sockets lie in it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[Any]] = {}
        self._namespace: subprocess.Popen[str] | None = None

    def start(self) -> None:
        for name in ("log", "state", "spool", "bin"):
            (self.folder / name).mkdir(parents=True)
        hosts = self.folder / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {socket.gethostname()} {' '.join(NODES)}\n")
        user = [] if os.geteuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
        unshare = ["unshare", *user, "--net", "--mount", "--propagation", "private"]
        self._namespace = subprocess.Popen(
            [*unshare, "sh", "-c", _NAMESPACE, "sh", str(hosts)],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        )
        assert self._namespace.stdout is not None
        if self._namespace.stdout.readline().strip() != "ready":
            raise RuntimeError("no namespace of its own could be made for the cluster")
        self._configure()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        files = [f"--{option}={self.folder}/munge.{end}" for option, end in _MUNGE.items()]
        self._daemon("munged", ["munged", "-F", "--force", *files])
        self.until(lambda: (self.folder / "munge.sock").exists(), "munged is up")
        self.start_controller()
        for node in NODES:
            self.start_node(node)
        self.until(lambda: self.states() == dict.fromkeys(NODES, "idle"), "the nodes are idle")

    def _configure(self) -> None:
        ports = _free_ports(1 + len(NODES))
        nodes = "\n".join(
            f"NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} RealMemory={MEMORY} "
            f"Gres=gpu:{GPUS} State=UNKNOWN"
            for name, port in zip(NODES, ports[1:], strict=True)
        )
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        (self.folder / "slurm.conf").write_text(
            _CONFIGURATION.format(controller_port=ports[0], user=user, folder=self.folder, nodes=nodes)
        )
        # Slurm takes any character device for a GPU; nobody opens these.
        (self.folder / "gres.conf").write_text(f"Name=gpu File=/dev/tty[0-{GPUS - 1}]\n")
        for client in CLIENTS:
            wrapper = self.folder / "bin" / client
            wrapper.write_text(f'#!/bin/sh\nexport SLURM_CONF={self.folder}/slurm.conf\nexec /usr/bin/{client} "$@"\n')
            wrapper.chmod(0o755)

    def start_controller(self) -> None:
        self._daemon("slurmctld", ["slurmctld", "-D", "-f", f"{self.folder}/slurm.conf"])
        self.until(lambda: "UP" in self.run("scontrol", "ping").stdout, "the controller answers")

    def start_node(self, name: str) -> None:
        self._daemon(name, ["slurmd", "-D", "-N", name, "-f", f"{self.folder}/slurm.conf"])

    def end(self, name: str, number: signal.Signals = signal.SIGTERM) -> None:
        """End one daemon: ``slurmctld``, ``node1``, …"""
        process = self.processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        if "slurmctld" in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.run("scancel", "--state=PENDING", "--me", timeout=10)
                self.run("scancel", "--signal=KILL", "--full", "--me", timeout=10)
                self.until(lambda: not self.jobs(), "all jobs have ended", 10, strict=False)
        for pid in self.steps_of(""):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        for name in sorted(self.processes, key=lambda n: {"slurmctld": 1, "munged": 2}.get(n, 0)):
            self.end(name)
        if self._namespace is not None:
            self._namespace.kill()
            self._namespace.wait()

    def _daemon(self, name: str, command: list[str]) -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            self.processes[name] = self.popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def _enter(
        self, command: Sequence[str], environment: dict[str, str] | None, cwd: Path | str | None
    ) -> dict[str, Any]:
        assert self._namespace is not None
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        folder = Path(cwd or self.folder).resolve()
        inside = [
            "nsenter",
            "--target",
            str(self._namespace.pid),
            *user,
            "--net",
            "--mount",
            f"--wd={folder}",
            *command,
        ]
        foreign = ("SLURM", "SBATCH", "SRUN", "SNAKEMAKE_PROFILE")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        path = f"{self.folder}/bin:{kept['PATH']}:/usr/sbin:/sbin"
        return {"args": inside, "env": kept | {"PATH": path} | (environment or {})}

    def popen(
        self,
        command: Sequence[str],
        environment: dict[str, str] | None = None,
        cwd: Path | str | None = None,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a command inside, in a session of its own; by default in the cluster's folder, as jobs leave files."""
        return subprocess.Popen(**self._enter(command, environment, cwd), start_new_session=True, **options)

    def run(
        self,
        *command: str,
        environment: dict[str, str] | None = None,
        cwd: Path | str | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside to its end."""
        return subprocess.run(
            **self._enter(command, environment, cwd),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def states(self) -> dict[str, str]:
        """Node → its state."""
        lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").stdout.splitlines()
        return dict(line.split()[:2] for line in lines)

    def jobs(self, states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
        """Ids of the jobs in those states."""
        return self.run("squeue", "-h", "-t", states, "-o", "%A").stdout.split()

    def job(self, number: str) -> dict[str, str]:
        """What the controller knows of a job: JobState, StartTime, Restarts, …"""
        words = self.run("scontrol", "--details", "show", "job", number).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def steps_of(self, job: str) -> list[str]:
        """Process ids of this cluster's own slurmstepd that serve a job; ``""``: any."""
        listed = self.run("pgrep", "-a", "-f", rf"slurmstepd: \[{job}").stdout.splitlines()
        pids = [line.split()[0] for line in listed]
        return [pid for pid in pids if f"{self.folder}/" in _environment(pid)]

    def until(self, condition: Callable[[], Any], what: str, seconds: float = 300, strict: bool = True) -> Any:
        """Wait until a condition holds, and return its value."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > end:
                if not strict:
                    return value
                logs = "\n".join(
                    f"{path.name}: {path.read_text(errors='replace')[-1500:]}"
                    for path in (self.folder / "log").iterdir()
                )
                raise AssertionError(f"waited {seconds:.0f} s in vain until {what}\n{logs}")
            time.sleep(0.1)
        return value


def _environment(pid: str) -> str:
    try:
        return Path("/proc", pid, "environ").read_bytes().decode(errors="replace")
    except OSError:  # it has ended
        return ""


_MUNGE = {"socket": "sock", "key-file": "key", "log-file": "log", "pid-file": "pid", "seed-file": "seed"}


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
