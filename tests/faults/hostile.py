"""Files that are made to do harm: each has to be refused, and none may leave its mark.

python -m tests.faults.hostile
"""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mario_world_model.checkpoints import load_vae
from mario_world_model.errors import InputError
from mario_world_model.policies.ppo import load_ppo
from mario_world_model.rollouts.dataset import open_dataset


class Calls:
    """Pickles as a call."""

    def __init__(self, function: Callable[..., Any], *arguments: object, state: object = None) -> None:
        self._call = (function, arguments, state) if state is not None else (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def payloads(canary: Path) -> dict[str, bytes]:
    """Pickles by what they try; those that get through leave the canary file behind."""
    touch = f"open({str(canary)!r}, 'w').close()"
    shell = f"touch {canary}"
    memo = b"\x80\x02]r" + struct.pack("<I", 0xFFFFFFF0) + b"."
    return {
        "import and call": pickle.dumps(Calls(os.system, shell)),
        "import and call, protocol 0": pickle.dumps(Calls(os.system, shell), 0),
        "exec": pickle.dumps(Calls(exec, touch)),
        "eval in a container": pickle.dumps({"kind": "mario-rollouts", "schema": 1, "episodes": [Calls(eval, touch)]}),
        "reduce by hand": b"cos\nsystem\n(V" + shell.encode() + b"\ntR.",
        "inst opcode": b"(V" + shell.encode() + b"\nios\nsystem\n.",
        "obj opcode": b"(cos\nsystem\nV" + shell.encode() + b"\no.",
        "newobj": b"\x80\x02csubprocess\nPopen\n(V" + shell.encode() + b"\n\x88t\x81.",
        "build with a state": b"\x80\x02cnumpy\ndtype\n(V" + b"u1\n\x89\x88tR}V__dict__\ncos\nsystem\nsb.",
        "build on a list": b"\x80\x02]}V__reduce__\ncos\nsystem\nsb.",
        "extension registry": b"\x80\x02\x82\x01.",
        "persistent id": b"\x80\x02V" + shell.encode() + b"\nQ.",
        "memo bomb": memo,
        "memo bomb, text": b"\x80\x02]p4294967280\n.",
        "long list of lists": b"\x80\x04" + b"]" * 5_000_000 + b"a" * 4_999_999 + b".",
        "deep tuples": b"\x80\x04)" + b"\x85" * 1_000_000 + b".",
        "a number of a million digits": b"\x80\x04\x8b" + struct.pack("<i", 10_000_000) + b"\x7f" * 10_000_000 + b".",
        "a text that claims 60 GB": b"\x80\x04\x8d" + struct.pack("<Q", 60_000_000_000) + b"x.",
        "bytes that claim 60 GB": b"\x80\x05\x96" + struct.pack("<Q", 60_000_000_000) + b"x.",
        "billion laughs": b"\x80\x02]q\x00"
        + b"".join(
            b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 9 + b"eq" + bytes([level + 1])
            for level in range(60)
        )
        + b".",
    }


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return content.getvalue()


def torch_archives(canary: Path) -> dict[str, bytes]:
    """Files that look like checkpoints."""
    made = {f"checkpoint: {name}": zipped({"archive/data.pkl": data}) for name, data in payloads(canary).items()}
    sound = io.BytesIO()
    torch.save({"format": "mario-world-model", "tensors": {"a": torch.zeros(4)}}, sound)
    with zipfile.ZipFile(sound) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    table = members["archive/data.pkl"]
    four = table.index(b"K\x04", table.index(b"cpu"))  # how many numbers the storage has
    made["checkpoint: a storage of 2 billion numbers"] = rebuilt(
        members, table[:four] + b"J\xff\xff\xff\x7f" + table[four + 2 :]
    )
    shape = table.index(b"K\x04\x85")
    made["checkpoint: a shape of 2 billion"] = rebuilt(
        members, table[:shape] + b"J\xff\xff\xff\x7f\x85" + table[shape + 3 :]
    )
    made["checkpoint: compressed zeros"] = zipped(
        {**members, "archive/data/0": bytes(50_000_000)}, zipfile.ZIP_DEFLATED
    )
    nested = zipped({"archive/data.pkl": zipped({"archive/data.pkl": payloads(canary)["import and call"]})})
    made["checkpoint: nested archives"] = nested
    made["checkpoint: old torch format"] = legacy(canary)
    made["checkpoint: whole module"] = whole_module()
    return made


def rebuilt(members: dict[str, bytes], table: bytes) -> bytes:
    return as_torch_ends(zipped({**members, "archive/data.pkl": table}))


def as_torch_ends(content: bytes) -> bytes:
    """With the records for large archives before the end, which torch always writes."""
    end = content[-22:]
    count, size, offset = struct.unpack("<8xH2xLL2x", end)[0], *struct.unpack("<12xLL2x", end)
    at = len(content) - 22
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    return content[:-22] + large + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1) + end


def legacy(canary: Path) -> bytes:
    content = io.BytesIO()
    torch.save({"a": Calls(os.system, f"touch {canary}")}, content, _use_new_zipfile_serialization=False)
    return content.getvalue()


def whole_module() -> bytes:
    content = io.BytesIO()
    torch.save(torch.nn.Linear(2, 2), content)
    return content.getvalue()


def attempts(folder: Path, canary: Path) -> dict[str, Callable[[], object]]:
    """Every hostile file behind the loader that would read it."""
    made: dict[str, Callable[[], object]] = {}

    def add(name: str, ending: str, content: bytes, load: Callable[[Path], object]) -> None:
        path = folder / f"{len(made)}{ending}"
        path.write_bytes(content)
        made[name] = lambda: load(path)

    for name, content in payloads(canary).items():
        add(f"data set: {name}", ".pkl", content, open_dataset)
        add(f"raw checkpoint: {name}", ".pt", content, load_vae)
    for name, content in torch_archives(canary).items():
        add(name, ".pt", content, load_vae)
        add(f"PPO {name}", ".pt", content, load_ppo)
    code = '{":type:": "x", ":serialized:": "gASVKAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjA10b3VjaA=="}'
    add("stable-baselines3 archive", ".zip", zipped({"data": f'{{"policy_class": {code}}}'.encode()}), load_ppo)
    return made


def main() -> int:
    """Try them all; the exit status is 1 where one was not refused in one line, or left its mark."""
    with tempfile.TemporaryDirectory() as temporary:
        canary = Path(temporary) / "canary"
        tried = refused = 0
        for name, attempt in attempts(Path(temporary), canary).items():
            tried += 1
            try:
                attempt()
            except InputError as refusal:
                refused += "\n" not in str(refusal)
                continue
            print(f"NOT REFUSED: {name}")
        marks = int(canary.exists())
        print(f"hostile files: {refused} of {tried} refused in one line, {marks} canary files")
        return int(refused < tried or marks > 0)


if __name__ == "__main__":
    sys.exit(main())
