"""How tests start two processes of fusionclf on one machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def launch_two(launcher: str, folder: Path) -> list[str]:
    """Words after `python` that start two CPU processes of fusionclf."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if launcher == "torchrun":
        return ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1",
                "--master_port", port, "-m", "fusionclf"]  # fmt: skip
    (folder / "hosts").write_text("localhost slots=2\n")
    return ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
            "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", port,
            "--mpirun_hostfile", str(folder / "hosts"), "-m", "fusionclf"]  # fmt: skip


def run_fusionclf(start: list[str], words: list[str], folder: Path) -> None:
    """Run a command of fusionclf, begun by `start`, with one thread a process; it must end well."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "FUSIONCLF_CACHE": str(folder / "cache"),
                   "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}  # fmt: skip
    done = subprocess.run(
        [sys.executable, *start, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
