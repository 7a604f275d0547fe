"""The recipes of docs/cluster.md for schedulers that are not here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCUMENT = Path(__file__).parents[2] / "docs" / "cluster.md"

SRUN = """#!/bin/bash
# Slurm's part: options go, the command runs as often as it is said to, here on the same machine.
while [[ $1 == --* ]]; do echo "$1" >> "$SRUN_OPTIONS"; shift; done
exec "$@"
"""


RAY = """#!/bin/bash
# `ray stop` would end whatever else there is of Ray on this machine.
[[ $1 == stop ]] || exec "$RAY" "$@" --temp-dir "$RAY_FILES"
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    return str(found)


@pytest.mark.usefixtures("rom")
def test_the_slurm_script_runs_but_for_slurm(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed; make test-cluster brings it")
    psutil = pytest.importorskip("psutil")  # comes with Ray
    files = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # a longer name would not do for Ray's sockets
    script = block("bash").replace("6379", "6399")
    script = re.sub(r"^\. .*activate$", "", script, flags=re.MULTILINE)
    script = script.replace("--preset demo --stages all", "--preset debug --rounds 1 --stages 1-1,1-2")
    (tmp_path / "job").write_text(script.replace("/shared/mario/runs", str(tmp_path / "runs")))
    for name, content in (("srun", SRUN), ("ray", RAY)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "SLURMD_NODENAME": "localhost",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
        "RAY": str(Path(sys.executable).parent / "ray"),
        "RAY_FILES": files,
        "SRUN_OPTIONS": str(tmp_path / "options"),
    }
    said = tmp_path / "said"
    try:
        with said.open("w") as file:
            done = subprocess.run(["bash", tmp_path / "job"], stdout=file, stderr=file, env=environment)
    finally:
        # Slurm's part too: with the script everything ends.
        for process in psutil.process_iter(["cmdline"]):
            if any(files in word for word in process.info["cmdline"] or ()):
                process.kill()
        shutil.rmtree(files)
    assert done.returncode == 0, said.read_text()
    assert said.read_text().count("Ray runtime started") == 2
    assert "| 1-2 |" in (tmp_path / "runs" / "sweep.md").read_text()
    assert (tmp_path / "options").read_text().split() == [
        "--nodes=1",
        "--ntasks=1",
        "--exclude=localhost",
        "--cpus-per-task=1",
    ]


def test_the_job_for_kubernetes_says_what_it_is_said_to() -> None:
    job: Any = yaml.safe_load(block("yaml"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert set(job["spec"]) == {"entrypoint", "shutdownAfterJobFinishes", "backoffLimit", "rayClusterSpec"}
    cluster = job["spec"]["rayClusterSpec"]
    head, (nodes,) = cluster["headGroupSpec"], cluster["workerGroupSpecs"]
    assert all(isinstance(value, str) for value in [cluster["rayVersion"], *head["rayStartParams"].values()])
    assert nodes["template"] == head["template"]
    pod = nodes["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"] == container["resources"]["requests"]
    assert all(isinstance(one["value"], str) for one in container["env"])
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    pinned = (DOCUMENT.parents[1] / "requirements-cluster.txt").read_text()
    assert f"ray[default]=={cluster['rayVersion']}" in pinned
    assert f"rayproject/ray:{cluster['rayVersion']}-" in DOCUMENT.read_text()
