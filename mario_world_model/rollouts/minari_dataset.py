"""A data set as one of Minari's, for the offline reinforcement learning that reads those, and back."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np

from mario_world_model.emulation.actions import ACTION_SETS
from mario_world_model.errors import InputError
from mario_world_model.models.vae import FRAME_SIZE
from mario_world_model.rollouts.dataset import Dataset
from mario_world_model.rollouts.episode import Episode, check_content, check_episode, info_from_plain
from mario_world_model.rollouts.episode_file import SUFFIX, write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.utils.atomic import sync, sync_folder
from mario_world_model.utils.lock import sole_writer

_ROOT = "MINARI_DATASETS_PATH"
_PROVENANCE = "provenance"
"""Of an episode's metadata: its info as JSON."""
_MOST_DEPTH = 3  # an episode holds infos hold fields


def export_minari(dataset: Dataset, name: str, root: Path | None) -> Path:
    """Write a data set as Minari's `name` below `root`, by default where Minari keeps its own; returns its folder.

    Frames stay as they are (Minari would make JPEGs of them), the RAM truth becomes `infos`, one array for each
    field. Raises InputError when there is no Minari, the name is not one of its names, it is taken, or another run
    writes it.
    """
    minari = _minari()
    root = _resolved(minari, root)
    with _at(root):
        namespace = _parsed(minari, name)
        with _folder_beside(root / name.replace("/", "-")) as temporary:
            if (root / name).exists():
                raise InputError(f"{root / name}: expected nothing there, found a data set")
            with _at(temporary), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that there is no environment, author, … given
                _write(minari, dataset, name)
            if namespace is not None and namespace not in minari.namespace.list_local_namespaces():
                minari.namespace.create_namespace(namespace)
            for file in (temporary / name).rglob("*"):
                sync(file)
            (temporary / name).replace(root / name)
            sync_folder((root / name).parent)
    return root / name


def import_minari(name: str, root: Path | None, output: Path) -> None:
    """Write what `export_minari` made as a data set, a .pkl file or a folder.

    Raises InputError when there is none of that name, it comes from elsewhere, it is damaged, or `output` exists.
    """
    minari = _minari()
    if output.exists():
        raise InputError(f"{output}: expected nothing there, found a data set")
    root = _resolved(minari, root)
    folder = root / name
    with _at(root):
        _parsed(minari, name)
        try:
            found = minari.load_dataset(name)
            _look_through(folder / "data" / "main_data.hdf5")
        except Exception as error:  # a file that is made to break its reader breaks it in any way
            raise InputError(f"{folder}: expected a data set of Minari, found none ({error!s:.200})") from error
    episodes = (_read(found, number, f"{folder}, episode {number}") for number in range(found.total_episodes))
    if output.suffix == ".pkl":
        with sole_writer(output):
            write_pickle(output, episodes)
        return
    with _folder_beside(output) as temporary:
        for number, episode in enumerate(episodes):
            write_episode(temporary / f"episode-{number:06d}{SUFFIX}", episode)
        temporary.replace(output)
        sync_folder(output.parent)


@contextlib.contextmanager
def _folder_beside(output: Path) -> Iterator[Path]:
    """Yield a new folder beside `output`, for its only writer; remove it at last, and first what killed runs left."""
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.tmp{output.suffix}")
    with sole_writer(output):
        temporary.mkdir()
        try:
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _look_through(file: Path) -> None:
    """Refuse arrays that claim more than the file holds, and links to elsewhere; export writes neither."""
    import h5py  # comes with Minari

    def look(group: Any, depth: int) -> None:
        for name in group:
            link, found = group.get(name, getlink=True), group.get(name)
            if not isinstance(link, h5py.HardLink) or depth > _MOST_DEPTH:
                raise ValueError(f"{name!r:.80} leads elsewhere")
            if isinstance(found, h5py.Group):
                look(found, depth + 1)
            elif found.is_virtual or found.external or found.nbytes > found.id.get_storage_size():
                raise ValueError(f"{name!r:.80} claims {found.nbytes} bytes, which are not there")

    with h5py.File(file, "r") as content:
        look(content, 0)


def _write(minari: ModuleType, dataset: Dataset, name: str) -> None:
    made = None
    for number, episode in enumerate(dataset.episodes):  # one at a time: frames of all would fill the memory
        info, steps = episode.info, len(episode)
        last = np.arange(steps) == steps - 1
        buffer = minari.data_collector.EpisodeBuffer(
            seed=info.seed,
            observations=episode.frames[:],
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=last & info.terminated,
            truncations=last & info.truncated,
            infos={field: episode.column(field) for field in info.truth_fields},
        )
        if made is None:
            made = minari.create_dataset_from_buffers(
                name,
                [buffer],
                observation_space=gymnasium.spaces.Box(0, 255, (FRAME_SIZE, FRAME_SIZE, 3), np.uint8),
                action_space=gymnasium.spaces.Discrete(len(ACTION_SETS[dataset.controls.actions])),
                description=f"{info.env}, actions {info.actions}, frame skip {info.frame_skip}, from mario-world-model",
                data_format="hdf5",
                jpeg_encoding=False,
            )
        else:
            made.update_dataset_from_buffer([buffer])
        provenance = json.dumps(dataclasses.asdict(info))
        made.storage.update_episode_metadata([{_PROVENANCE: provenance}], [number])


def _read(found: Any, number: int, where: str) -> Episode:
    try:
        (metadata,) = found.storage.get_episode_metadata([number])
        info = info_from_plain(json.loads(metadata[_PROVENANCE]), where)
        (arrays,) = found.iterate_episodes([number])
        episode = Episode(
            frames=arrays.observations,
            actions=arrays.actions,
            rewards=arrays.rewards,
            truth=np.stack([arrays.infos[field] for field in info.truth_fields], axis=1),
            info=info,
        )
        ends = (bool(arrays.terminations[-1]), bool(arrays.truncations[-1]))
    except InputError:
        raise
    except Exception as error:  # bytes that are made to break a parser break it in any way
        raise InputError(f"{where}: expected what data export wrote, found something else ({error!s:.200})") from error
    if ends != (info.terminated, info.truncated):
        raise InputError(f"{where}: expected its end as in its provenance, found terminated, truncated = {ends}")
    return check_content(check_episode(episode, where), where)


def _minari() -> ModuleType:
    try:
        import minari  # an extra, and it takes a second
        import minari.data_collector
        import minari.namespace
        import minari.storage
    except ImportError as error:
        raise InputError(
            f'expected Minari for its data sets, found it missing: pip install "minari[hdf5]" ({error})'
        ) from error
    found: ModuleType = minari
    return found


def _parsed(minari: ModuleType, name: str) -> str | None:
    """The namespace of a name, if it has one."""
    try:
        namespace: str | None = minari.dataset.minari_dataset.parse_dataset_id(name)[0]
    except (ValueError, TypeError) as error:  # the latter where there is no version
        raise InputError(f"--minari: expected a name as mario/level-1-1-v0, found {name!r} ({error})") from error
    return namespace


def _resolved(minari: ModuleType, root: Path | None) -> Path:
    """Where Minari's data sets are, from the root of the system on: Minari gets lost below a relative folder."""
    with _at(root):
        return Path(minari.storage.get_dataset_path()).resolve()


@contextlib.contextmanager
def _at(root: Path | None) -> Iterator[None]:
    """Have Minari look there; None: where it looks anyway."""
    former = os.environ.get(_ROOT)
    if root is not None:
        os.environ[_ROOT] = str(root)
    try:
        yield
    finally:
        os.environ.pop(_ROOT, None)
        if former is not None:
            os.environ[_ROOT] = former
