"""Data sets in a store that speaks S3 over HTTP, from several nodes and several processes."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mario_world_model.config import CollectConfig
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training import data_collection
from mario_world_model.training.data_collection import collect
from mario_world_model.utils.storage import Address

pytestmark = [
    pytest.mark.usefixtures("rom", "server", "cluster"),  # nodes inherit where the server is
    pytest.mark.filterwarnings("default"),  # Ray's are Ray's
]

ROLLOUTS = Address("s3://bucket/run/rollouts")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    moto = pytest.importorskip("moto.server", reason="moto is not installed; make test-cluster brings it")
    pytest.importorskip("s3fs", reason="s3fs is not installed; make test-cluster brings it")
    started = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    settings = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "anybody",
        "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MARIO_ROM": str(data_collection.find_rom()),
        "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT"))
        yield
    started.stop()


def collection(output: Path | Address, **changes: Any) -> CollectConfig:
    return dataclasses.replace(CollectConfig(policy="biased", episodes=10, max_steps=60, output=output), **changes)


def test_nodes_write_there_themselves_and_one_may_be_lost(
    lose_a_node: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_home = open_dataset(collect(collection(tmp_path / "home", workers=1)))
    monkeypatch.setattr(data_collection._Task, "write", None)  # this process is not to write any
    collect(collection(ROLLOUTS, cluster="auto"))
    assert lose_a_node
    assert open_dataset(ROLLOUTS).fingerprint == at_home.fingerprint
    assert not (ROLLOUTS.with_name("rollouts.partial")).names()


def test_of_two_processes_one_fetches(tmp_path: Path) -> None:
    collect(collection(ROLLOUTS, episodes=3, workers=1))
    code = (
        "from mario_world_model.utils.storage import Address\n"
        "from mario_world_model.rollouts.mirror import mirrored\n"
        "fetched, download = [], Address.download\n"
        "Address.download = lambda self, file: (fetched.append(1), download(self, file))\n"
        f"mirrored(Address({ROLLOUTS.url!r}))\n"
        "print(len(fetched))"
    )
    settings = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=settings)
        for _ in range(2)
    ]
    assert sum(int(one.communicate()[0]) for one in both) == 3
