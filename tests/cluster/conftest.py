"""A Ray cluster of several nodes on this machine; `make test-cluster` installs what it takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"  # else Ray warns of what it is about to change


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without cores, which runs no tasks, and two nodes with one core each; this process is connected."""
    ray = pytest.importorskip("ray", reason="Ray is not installed; make test-cluster brings it")
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False, logging_level="error")
    yield started
    ray.shutdown()
    started.shutdown()


@pytest.fixture
def lose_a_node(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """In mid-run, as soon as a result has come, a node is killed and another joins; the list says how often."""
    from mario_world_model.utils.ray_executor import RayExecutor

    whole, lost = RayExecutor.run, []

    def losing(self: Any, function: Any, tasks: Any) -> Iterator[Any]:
        for result in whole(self, function, tasks):
            yield result
            if not lost:
                lost.append(1)
                cluster.remove_node(sorted(cluster.worker_nodes, key=id)[0], allow_graceful=False)
                cluster.add_node(num_cpus=1)

    monkeypatch.setattr(RayExecutor, "run", losing)
    return lost
