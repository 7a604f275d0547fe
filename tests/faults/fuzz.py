"""Damaged and made-up files by the hundred thousand: a loader either reads them or says in one line what is wrong.

    python -m tests.faults.fuzz --inputs 100000

Some of the inputs are sound files with bytes changed, cut, repeated and put in; as many keep the form of the file and
change what is said in it: the values of a pickle, the header of an episode, the table and the values of a checkpoint.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import io
import json
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from mario_world_model import checkpoints
from mario_world_model.checkpoints import load_controllers, load_vae, load_world_model
from mario_world_model.config import GameConfig, VAEConfig, from_plain
from mario_world_model.errors import InputError
from mario_world_model.evaluation.episodes import EpisodeScore
from mario_world_model.evaluation.record import Origin, Record, write_record
from mario_world_model.evaluation.summary import summarise
from mario_world_model.report.agents import agents_by_conditions
from mario_world_model.report.document import Document
from mario_world_model.report.html_page import to_html
from mario_world_model.report.inputs import gather
from mario_world_model.report.reproduction import reproduction
from mario_world_model.rollouts.archive import Archive, read_archive, write_archive
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.rollouts.episode_file import read_episode, write_episode
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.training.journal import Journal
from mario_world_model.utils.checkpoint import load_checkpoint
from tests.faults.hostile import as_torch_ends, zipped
from tests.rollouts.episodes import made_up_episode
from tests.world import save_world, small_world

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**31,
    2**63,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    b"",
    [],
    {},
    (),
    [[]],
]
NUMBERS = [b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff" * 8, b"\x00" * 8, struct.pack("<Q", 2**40), b"\x80"]

_MEMORY = Path("/dev/shm")  # a disk takes longer to write a file than a loader to read it

Mutation = Callable[[random.Random], bytes]


@dataclasses.dataclass
class Figures:
    """What became of the inputs of one loader."""

    loader: str
    inputs: int = 0
    read: int = 0
    refused: int = 0
    uncaught: int = 0
    slowest: float = 0.0
    megabytes: float = 0.0
    """Most memory above what the process had before, beyond twice the file."""
    seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.loader}: {self.inputs} inputs, {self.refused} refused in one line, {self.read} read, "
            f"{self.uncaught} uncaught exceptions; at most {self.megabytes:.0f} MB more memory, slowest "
            f"{1000 * self.slowest:.0f} ms ({self.seconds:.0f} s)"
        )


def scrambled(sound: bytes) -> Mutation:
    """Bytes changed, cut, repeated and put in."""

    def mutate(luck: random.Random) -> bytes:
        content = bytearray(sound)
        for _ in range(luck.choice((1, 1, 1, 2, 4, 16))):
            # Most of a file are numbers that may be anything; what is said about them is at its ends.
            near = luck.choice((len(content), 2048, 256))
            place = luck.randrange(min(near, len(content)) or 1)
            place = len(content) - 1 - place if luck.random() < 0.5 else place
            place = max(0, place)
            kind = luck.randrange(6)
            if kind == 0 and content:
                content[place] ^= 1 << luck.randrange(8)
            elif kind == 1 and content:
                content[place] = luck.randrange(256)
            elif kind == 2:
                number = luck.choice(NUMBERS)
                content[place : place + len(number)] = number
            elif kind == 3:
                del content[place : place + luck.randrange(1, 64)]
            elif kind == 4:
                content[place:place] = content[place : place + luck.randrange(1, 64)]
            else:
                content = content[: luck.randrange(len(content) + 1)]
        return bytes(content)

    return mutate


def changed(value: Any, luck: random.Random) -> Any:
    """The same plain value with one thing in it replaced, renamed, left out or put in."""
    value = copy.copy(value)
    if isinstance(value, dict) and value and luck.random() < 0.9:
        key = luck.choice(list(value))
        kind = luck.randrange(8)
        if kind == 0:
            del value[key]
        elif kind == 1:
            value[luck.choice(["new", 3, None])] = value[key]
        else:
            value[key] = changed(value[key], luck)
        return value
    if isinstance(value, (list, tuple)) and value and luck.random() < 0.8:
        items = list(value)
        items[luck.randrange(len(items))] = changed(items[0], luck)
        return type(value)(items) if type(value) in (list, tuple) else value
    return copy.deepcopy(luck.choice(ODD))


def other_pickles(content: Any) -> Mutation:
    return lambda luck: pickle.dumps(changed(content, luck), luck.choice((2, 4, 5)))


def other_headers(sound: bytes, told: str = "info") -> Mutation:
    """A safetensors file that says something else of itself; `told` is what it tells as JSON."""
    length = struct.unpack("<Q", sound[:8])[0]
    header = json.loads(sound[8 : 8 + length])
    info = json.loads(header["__metadata__"][told])

    def mutate(luck: random.Random) -> bytes:
        other = copy.deepcopy(header)
        if luck.random() < 0.6:
            text = json.dumps(changed(info, luck), default=str)
            other["__metadata__"][told] = text if luck.random() < 0.9 else "[" * luck.randrange(1, 100_000)
        else:
            other = changed(other, luck)
        written = json.dumps(other, default=str).encode()
        return struct.pack("<Q", len(written)) + written + sound[8 + length :]

    return mutate


def other_archives(sound: bytes) -> Mutation:
    """A checkpoint with sound checksums and another table of contents."""
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    table = scrambled(members["archive/data.pkl"])

    def mutate(luck: random.Random) -> bytes:
        other = dict(members)
        if luck.random() < 0.1:
            del other[luck.choice(list(other))]
        other["archive/data.pkl"] = table(luck)
        return as_torch_ends(zipped(other))

    return mutate


def other_contents(sound: bytes) -> Mutation:
    """A checkpoint that torch itself wrote, with another configuration or other tensors."""
    content = torch.load(io.BytesIO(sound), weights_only=True)

    def mutate(luck: random.Random) -> bytes:
        part = luck.choice(("config", "config", "config", "tensors", ""))
        other = {**content, part: changed(content[part], luck)} if part else changed(content, luck)
        if part == "tensors" and luck.random() < 0.7:
            name = luck.choice(list(content["tensors"]))
            tensor = content["tensors"][name]
            shapes = (tensor.double(), tensor.flatten(), tensor[..., :0], torch.zeros(()), tensor * float("nan"))
            other = {**content, "tensors": {**content["tensors"], name: luck.choice(shapes)}}
        written = io.BytesIO()
        torch.save(other, written)
        return written.getvalue()

    return mutate


def loaders(folder: Path) -> Iterator[tuple[str, str, Callable[[Path], object], list[Mutation]]]:
    """Name, file ending, loader, and ways to make its inputs."""
    episode = made_up_episode(steps=1)
    write_pickle(folder / "d.pkl", [episode])
    sound = (folder / "d.pkl").read_bytes()
    yield "data set (.pkl)", ".pkl", open_dataset, [scrambled(sound), other_pickles(pickle.loads(sound))]

    write_episode(folder / "e.safetensors", episode)
    sound = (folder / "e.safetensors").read_bytes()
    yield "episode file", ".safetensors", read_episode, [scrambled(sound), other_headers(sound)]

    world = small_world()
    save_world(folder, world)
    model, fingerprint = load_world_model(folder / "v.pt", folder / "m.pt")
    sound = (folder / "v.pt").read_bytes()
    yield "VAE checkpoint", ".pt", load_vae, [scrambled(sound), other_archives(sound), other_contents(sound)]
    sound = (folder / "m.pt").read_bytes()
    saved_vae = load_vae(folder / "v.pt")

    def load_m(path: Path) -> object:
        with mock.patch.object(checkpoints, "load_vae", return_value=saved_vae):  # the same each time
            return load_world_model(folder / "v.pt", path)

    yield "MDN-RNN checkpoint", ".pt", load_m, [scrambled(sound), other_archives(sound), other_contents(sound)]
    sound = (folder / "c.pt").read_bytes()
    load_c = lambda path: load_controllers(path, model, fingerprint)  # noqa: E731
    yield "controller checkpoint", ".pt", load_c, [scrambled(sound), other_archives(sound), other_contents(sound)]
    load_state = lambda path: load_checkpoint(path, "controller")  # noqa: E731
    yield "state to resume from", ".pt", load_state, [scrambled(sound), other_archives(sound), other_contents(sound)]

    plain = {"architecture": "flat", "latent_size": 8, "widths": [4, 8, 8], "beta": 1.0}
    texts = [json.dumps(plain).encode()]

    def load_config(path: Path) -> object:
        try:
            found = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise InputError("not JSON") from error
        return from_plain(VAEConfig, found, str(path))

    values = lambda luck: json.dumps(changed(plain, luck), default=str).encode()  # noqa: E731
    yield "configuration", ".json", load_config, [scrambled(texts[0]), values]

    journal = {
        "schema": 1,
        "settings": {"seed": 0},
        "finished": False,
        "stages": {"vae": {"figures": {}, "seconds": 1.0}},
    }

    def load_journal(path: Path) -> object:
        (folder / "run").mkdir(exist_ok=True)
        path.replace(folder / "run" / "progress.json")
        return Journal(folder / "run", {"seed": 0}, True).seconds

    values = lambda luck: json.dumps(changed(journal, luck), default=str).encode()  # noqa: E731
    yield "journal of a run", ".json", load_journal, [scrambled(json.dumps(journal).encode()), values]

    write_archive(folder / "a.safetensors", Archive({(1, 1, x): bytes([x]) * 9 for x in range(3)}), 3)
    sound = (folder / "a.safetensors").read_bytes()

    load_archive = lambda path: sorted(read_archive(path)[0].states)  # noqa: E731
    yield (
        "archive of an exploration",
        ".safetensors",
        load_archive,
        [scrambled(sound), other_headers(sound, "episodes")],
    )

    scores = [EpisodeScore(index, 9.0, 50, False, True, 9, 36, (50, 79), (2, 3)) for index in range(3)]
    origin = Origin("PPO", "ppo", 0, 1000, 1.5, {"ppo": "ab"}, {"ppo": {"seed": 0}})
    record = Record(origin, "sticky", GameConfig(), 1_000_000, 9, summarise(scores), scores, 1.0, {"command": "c"}, {})
    write_record(folder / "record.json", record)
    sound = (folder / "record.json").read_bytes()
    plain_record = json.loads(sound)
    values = lambda luck: json.dumps(changed(plain_record, luck), default=str).encode()  # noqa: E731

    def load_record(path: Path) -> object:
        records = gather([path]).records
        return agents_by_conditions(records), to_html(Document("report", [], [reproduction(records)]))

    yield "record of an evaluation", ".json", load_record, [scrambled(sound), values]


def fuzz(inputs: int, seed: int, only: str = "") -> Iterator[Figures]:
    """Feed `inputs` files to every loader that has `only` in its name."""
    # A sound file first, so that what the libraries take once is not counted.
    with tempfile.TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None) as temporary:
        folder = Path(temporary)
        for name, ending, load, mutations in loaders(folder):
            if only not in name:
                continue
            luck = random.Random(seed)
            figures = Figures(name)
            begun = time.monotonic()
            before: float | None = None
            for number in range(inputs):
                content = mutations[number % len(mutations)](luck)
                path = folder / f"input{ending}"
                path.write_bytes(content)
                started = time.monotonic()
                try:
                    with warnings.catch_warnings(record=True) as warned:
                        load(path)
                    if warned:
                        raise RuntimeWarning(str(warned[0].message))
                    figures.read += 1
                except InputError as refusal:
                    figures.refused += 1
                    if "\n" in str(refusal) or len(str(refusal)) > 2000:
                        figures.uncaught += 1
                        print(f"{name}, input {number}: not one line: {str(refusal)[:300]!r}", flush=True)
                except Exception as error:
                    figures.uncaught += 1
                    if figures.uncaught <= 5:
                        print(f"{name}, input {number}: {type(error).__name__}: {str(error)[:200]}", flush=True)
                figures.slowest = max(figures.slowest, time.monotonic() - started)
                figures.inputs += 1
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
                if number < 50:
                    before = peak
                elif before is not None:
                    figures.megabytes = max(figures.megabytes, peak - before - 2e-6 * len(content))
            figures.seconds = time.monotonic() - begun
            yield figures


def main() -> int:
    """The command line; status 1 where a loader failed otherwise than in one line, or took too much memory."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--inputs", type=int, default=100_000, help="a loader")
    flags.add_argument("--only", default="", help="part of the names of the loaders")
    flags.add_argument("--seed", type=int, default=0)
    options = flags.parse_args()
    wrong = 0
    for figures in fuzz(options.inputs, options.seed, options.only):
        print(figures, flush=True)
        wrong += figures.uncaught + (figures.megabytes > 100)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
