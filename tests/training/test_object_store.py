"""Data sets in an object store: whole or not at all, whatever breaks, and copied here once."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from mario_world_model import cli
from mario_world_model.config import CollectConfig, GameConfig
from mario_world_model.errors import InputError
from mario_world_model.rollouts import mirror
from mario_world_model.rollouts.archive import Archive, read_archive, write_archive
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.manifest import read_manifest
from mario_world_model.rollouts.mirror import mirror_of, mirrored
from mario_world_model.training import data_collection
from mario_world_model.training.data_collection import collect
from mario_world_model.training.gather_in_store import StoreGathering
from mario_world_model.utils.storage import Address, location
from tests.rollouts.episodes import made_up_episode, with_info


class PlugPulled(BaseException):
    """What no error handling sees, as a loss of power."""


class FrailStore(MemoryFileSystem):  # type: ignore[misc]  # of a package without types
    """Objects in memory; the process ends before the change of a chosen number."""

    protocol = "frail"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    changes = 0
    last: ClassVar[int | None] = None

    @classmethod
    def count(cls) -> None:
        if cls.changes == cls.last:
            raise PlugPulled
        FrailStore.changes += 1

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **more: Any) -> None:
        self.count()
        super().pipe_file(path, value, mode, **more)

    def put_file(self, lpath: str, rpath: str, **more: Any) -> None:
        self.count()
        super().put_file(lpath, rpath, **more)

    def _rm(self, path: str) -> None:
        self.count()
        super()._rm(path)


fsspec.register_implementation("frail", FrailStore, clobber=True)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Address]:
    """An empty store, and a machine that has copied nothing from it."""
    monkeypatch.setattr(mirror, "platformdirs", SimpleNamespace(user_cache_dir=lambda _: str(tmp_path / "cache")))
    FrailStore.store.clear()
    FrailStore.pseudo_dirs[:] = [""]
    FrailStore.changes, FrailStore.last = 0, None
    return Address("frail://bucket/run/rollouts")


class Here:
    """Runs tasks in this process."""

    def run(self, function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        yield from enumerate(map(function, tasks))


def play(task: Any) -> Any:
    """An episode that depends on its index and its seed, without a game."""
    episode = with_info(made_up_episode(task.index + 1000 * task.seed, steps=3), index=task.index)
    reached = {(1, 1, task.index): task.start or b"level"}
    if not data_collection._in_reach(task.marker):
        return data_collection._Played(len(episode), reached, episode)
    task.write(episode, reached)
    return data_collection._Played(len(episode), reached)


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch, rom: Path) -> None:
    """Collections that play nothing."""
    del rom
    monkeypatch.setattr(data_collection, "_collect_episode", play)
    monkeypatch.setattr(data_collection, "open_executor", lambda *_: contextlib.nullcontext(Here()))


def small(output: Path | Address, **changes: Any) -> CollectConfig:
    return dataclasses.replace(CollectConfig(policy="biased", episodes=3, max_steps=9, output=output), **changes)


def names() -> list[str]:
    return [path.removeprefix("/bucket/run/") for path in FrailStore.store]


def fingerprint(output: Path | Address) -> str:
    return open_dataset(output).fingerprint


@pytest.mark.usefixtures("rom")
def test_a_store_holds_what_a_folder_would(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The workers of the pool do not see this process's memory: their episodes come back, and it writes them."""
    flags = ["collect", "--policy", "explore", "--episodes", "3", "--max-steps", "9", "--workers", "2", "--output"]
    assert cli.main([*flags, str(tmp_path / "folder")]) == 0
    assert cli.main([*flags, "memory://bucket/run/rollouts"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].removeprefix("memory://bucket/run/rollouts") == said[0].removeprefix(str(tmp_path / "folder"))
    there = open_dataset(Address("memory://bucket/run/rollouts"))
    assert there.fingerprint == fingerprint(tmp_path / "folder")
    assert there.path == tmp_path / "cache" / "stores" / "memory" / "bucket" / "run" / "rollouts"
    assert cli.main([*flags, "memory://bucket/run/rollouts"]) == 0
    assert "rollouts: complete already" in capsys.readouterr().err
    assert cli.main(["data", "info", "memory://bucket/run/rollouts", "--strip", str(tmp_path / "strip.png")]) == 0


CHANGES = {
    "new": {},
    "replaced": {"seed": 1, "resume": False},
    "grown": {"append": True, "episodes": 2},
}


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("change", "explore"), [("new", True), ("replaced", False), ("replaced", True), ("grown", True)]
)
def test_a_collection_can_be_broken_off_before_every_change_of_the_store(
    store: Address, tmp_path: Path, change: str, explore: bool
) -> None:
    first = small(store, policy="explore" if explore else "biased")
    second = dataclasses.replace(first, **CHANGES[change])

    def begin() -> str | None:
        FrailStore.store.clear()
        FrailStore.last = None
        if change == "new":
            return None
        collect(first)
        return fingerprint(store)

    before = begin()
    collect(second)
    after, left = fingerprint(store), names()
    assert not [name for name in left if ".partial" in name]
    whole = small(tmp_path / "folder", policy=first.policy)
    collect(whole)
    if change != "new":
        collect(dataclasses.replace(whole, **CHANGES[change]))
    assert after == fingerprint(whole.output)
    for last in range(1000):
        begin()
        FrailStore.changes, FrailStore.last = 0, last
        with contextlib.suppress(PlugPulled):
            collect(second)
            break
        FrailStore.last = None
        found = read_manifest(store)
        if found is None:
            assert before is None
        else:
            assert found.fingerprint in (before, after)
            assert fingerprint(store) == found.fingerprint
        if change == "grown" and found and found.fingerprint == after and not StoreGathering(second, store).begun:
            continue  # the same command would add more
        collect(dataclasses.replace(second, resume=True))
        assert fingerprint(store) == after
        assert not [name for name in names() if ".partial" in name]
        # The names differ in the tags of their collections, and are as many.
        assert len(names()) == len(left)
    assert last > 10


@pytest.mark.usefixtures("made_up")
def test_one_collection_at_a_time(store: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another one is refused; the same one, begun on another machine, goes on in place of the first."""
    monkeypatch.setattr(data_collection, "sole_writer", lambda _: contextlib.nullcontext())
    both = [small(store), small(store)]
    elsewhere: list[Any] = []

    def play_and_be_overtaken(task: Any) -> Any:
        if not elsewhere:
            elsewhere.append(StoreGathering(both[1], store))
            with pytest.raises(InputError, match="found one with another seed"):
                collect(small(store, seed=5))
            elsewhere[0].begin()
        return play(task)

    monkeypatch.setattr(data_collection, "_collect_episode", play_and_be_overtaken)
    with pytest.raises(InputError, match="expected to be alone at this collection"):
        collect(both[0])
    assert read_manifest(store) is None
    monkeypatch.setattr(data_collection, "_collect_episode", play)
    collect(both[1])
    assert len(open_dataset(store).episodes) == 3


@pytest.mark.usefixtures("made_up")
def test_a_collection_that_ends_while_another_begins_loses_nothing(
    store: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_collection, "sole_writer", lambda _: contextlib.nullcontext())
    collect(small(store))
    create = Address.create

    def just_after_another(self: Address, text: str) -> None:
        monkeypatch.setattr(Address, "create", create)
        collect(small(store, episodes=2, append=True, seed=1))
        create(self, text)

    monkeypatch.setattr(Address, "create", just_after_another)
    collect(small(store, episodes=1, append=True))
    found = read_manifest(store)
    assert found is not None
    assert [episode.index for episode in found.episodes] == [0, 1, 2, 3, 4, 5]


@pytest.mark.usefixtures("made_up")
def test_what_is_here_already_is_not_fetched_again(store: Address, monkeypatch: pytest.MonkeyPatch) -> None:
    collect(small(store))
    fetched: list[str] = []
    download = Address.download
    monkeypatch.setattr(
        Address, "download", lambda self, file: (fetched.append(self.name[:14]), download(self, file))[1]
    )
    folder = mirrored(store)
    assert sorted(fetched) == [f"episode-00000{number}" for number in range(3)]
    collect(small(store, episodes=1, append=True))
    assert fetched[3:] == []  # to add an episode takes none of the others
    (file,) = folder.glob("episode-000001*")
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert len(open_dataset(store).episodes) == 4
    assert sorted(fetched[3:]) == ["episode-000001", "episode-000003"]
    collect(small(store, episodes=2, seed=1))
    assert len(open_dataset(store).episodes) == 2
    assert len(list(folder.glob("episode-*"))) == 2


@pytest.mark.usefixtures("made_up")
def test_an_episode_that_was_changed_in_the_store_is_refused(store: Address) -> None:
    collect(small(store))
    one, two, _ = sorted(name for name in FrailStore.store if "episode" in name)
    FrailStore.store[one].seek(0)
    whole = FrailStore.store[one].read()
    fs = fsspec.filesystem("frail")
    fs.pipe_file(two, whole)
    with pytest.raises(InputError, match=r"episode-000001.*expected content with SHA-256"):
        open_dataset(store)
    fs.pipe_file(two, whole[:-1])
    with pytest.raises(InputError, match="expected an episode, found a damaged or different file"):
        open_dataset(store)
    assert len(open_dataset(store, skip_damaged=True).episodes) == 2
    fs.rm_file(two)
    with pytest.raises(InputError, match=r"frail://.*episode-000001.*: cannot be read"):
        open_dataset(store)


@pytest.mark.usefixtures("made_up")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "../../../evil-000001-aaaaaaaa.safetensors"),
        ("name", "episode-000000-{tag}.safetensors"),  # twice
        ("name", 7),
        ("steps", 0),
        ("steps", True),
        ("sha256", "abc"),
        ("sha256", None),
    ],
)
def test_a_list_of_what_cannot_be_is_refused(store: Address, field: str, value: Any) -> None:
    collect(small(store))
    plain = json.loads((store / "dataset.json").read_text())
    tag = plain["episodes"][0]["name"][15:23]
    plain["episodes"][1][field] = value.format(tag=tag) if isinstance(value, str) else value
    (store / "dataset.json").write_text(json.dumps(plain))
    with pytest.raises(InputError, match="expected the list of a data set, found a damaged one"):
        open_dataset(store)


@pytest.mark.usefixtures("made_up")
def test_what_does_not_belong_together_is_refused_before_anything_is_played(store: Address) -> None:
    collect(small(store))
    with pytest.raises(InputError, match="expected one frame_skip in a data set, found 4 there, not 2"):
        collect(small(store, append=True, game=GameConfig(frame_skip=2)))
    (store / "thesis.tex").write_text("everything I have")
    with pytest.raises(InputError, match=r"found thesis\.tex in it"):
        collect(small(store, append=True))
    with pytest.raises(InputError, match="expected a folder of episodes in a store, found the name of a file"):
        collect(small(Address("frail://bucket/mario.pkl")))
    assert len(open_dataset(store).episodes) == 3


def test_an_archive_in_a_store_comes_back(store: Address) -> None:
    write_archive(store / "a.safetensors", Archive({(1, 1, 3): b"state"}), 5)
    assert read_archive(store / "a.safetensors") == (Archive({(1, 1, 3): b"state"}), 5)
    assert read_archive(store / "b.safetensors") == (Archive(), 0)


def test_an_address_keeps_both_slashes_and_a_file_is_a_path() -> None:
    assert location("s3://bucket/run/") == Address("s3://bucket/run")
    assert str(location("s3://bucket/run") / "a.b") == "s3://bucket/run/a.b"
    assert location("S3://bucket/x").with_name("y.z").suffix == ".z"
    assert location("file:///data/run") == Path("/data/run")
    assert location("C:/data/run") == Path("C:/data/run")
    assert location("data/run") == Path("data/run")


def test_two_addresses_have_two_mirrors() -> None:
    texts = ["s3://a/b", "gs://a/b", "s3://a/../b", "s3://a/b%2F", "s3://a/b/c", "s3://a:80/b"]
    mirrors = [mirror_of(Address(text)) for text in texts]
    assert len(set(mirrors)) == len(texts)
    assert all(".." not in one.parts for one in mirrors)


def test_an_address_where_a_path_is_wanted_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train-vae", "--dataset", "d", "--output", "s3://bucket/v.pt"]) == 2
    assert "--output: expected a path of this machine, found s3:/bucket/v.pt" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_no_data_set_no_package_and_no_such_store_are_one_line_each(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as if it were not installed
    for address, said in {
        "frail://bucket/none": "expected a data set from data_collection, found none",
        "s3://bucket/none": "expected a package that reads such a store, found none (Install s3fs to access S3)",
        "nowhere://bucket/none": "Protocol not known: nowhere",
    }.items():
        assert cli.main(["train-vae", "--dataset", address, "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"{address}" in error
        assert said in error
