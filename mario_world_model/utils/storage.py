"""Objects in a store, named by addresses such as s3://bucket/run/rollouts, through fsspec.

An object is there whole or not at all, and what looks like a folder is a common beginning of names: nothing is renamed,
nothing is locked. An address has the part of `Path`'s interface that makes sense there.
"""

from __future__ import annotations

import contextlib
import errno
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mario_world_model.errors import InputError

_FORM = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]+)://(?P<rest>.+)")


@dataclass(frozen=True)
class Address:
    """Where an object is, or the common beginning of some; what fails there is an OSError that names it."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, name: str) -> Address:
        return Address(f"{self.url}/{name}")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Of the name."""
        return Path(self.name).suffix

    @property
    def parts(self) -> list[str]:
        """Protocol, bucket and the rest, as names of folders."""
        protocol, rest = _split(self.url)
        return [protocol, *(part for part in rest.split("/") if part)]

    def with_name(self, name: str) -> Address:
        """The same but for the last part."""
        return Address(self.url[: len(self.url) - len(self.name)] + name)

    def is_file(self) -> bool:
        """Whether there is such an object."""
        with self._reported() as (store, path):
            # Not `exists`, to which any failure means that there is nothing.
            try:
                return bool(store.info(path)["type"] == "file")
            except FileNotFoundError:
                return False

    def names(self) -> list[str]:
        """Of what lies directly below, in order."""
        with self._reported() as (store, path):
            try:
                found = store.ls(path, detail=False)
            except FileNotFoundError:
                return []
            inside = [one.rstrip("/") for one in found if one.strip("/") != path.strip("/")]
            return sorted(one.rpartition("/")[2] for one in inside)

    def read_text(self) -> str:
        """The content of an object; raises FileNotFoundError where there is none."""
        with self._reported() as (store, path):
            return bytes(store.cat_file(path)).decode()

    def heads(self, names: Sequence[str], size: int) -> list[bytes]:
        """The first bytes of objects below."""
        with self._reported() as (store, path):
            below = [f"{path}/{name}" for name in names]
            return [bytes(head) for head in store.cat_ranges(below, 0, size, on_error="raise")]

    def write_text(self, text: str) -> None:
        """Put an object there."""
        with self._reported() as (store, path):
            store.pipe_file(path, text.encode())

    def create(self, text: str) -> None:
        """Put an object there unless there is one: of many who try at once, one does."""
        with self._reported() as (store, path), contextlib.suppress(FileExistsError):
            store.pipe_file(path, text.encode(), mode="create")

    @contextlib.contextmanager
    def written(self) -> Iterator[Path]:
        """Yield a file of this machine; once the block has succeeded its content is the object's."""
        with tempfile.TemporaryDirectory(prefix="mario-world-model-") as folder:
            yield Path(folder, self.name)
            with self._reported() as (store, path):
                store.put_file(str(Path(folder, self.name)), path)

    def download(self, file: Path) -> None:
        """Copy the object into a file of this machine."""
        with self._reported() as (store, path):
            store.get_file(path, str(file))

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the object."""
        with self._reported() as (store, path), contextlib.suppress(*([FileNotFoundError] if missing_ok else [])):
            store.rm_file(path)

    def remove(self, names: Sequence[str]) -> None:
        """Remove objects below."""
        with self._reported() as (store, path):
            if names:
                store.rm([f"{path}/{name}" for name in names])

    def remove_below(self) -> None:
        """Remove everything whose name begins with this and a slash."""
        with self._reported() as (store, path), contextlib.suppress(FileNotFoundError):
            store.rm(path, recursive=True)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[tuple[Any, str]]:
        """The store and the path in it; whatever kind of exception its library has comes out as one."""
        import fsspec

        try:
            # A listing that was kept would not show what other machines have written since.
            yield fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, _one_line(error), self.url) from error
        except ImportError as error:
            raise InputError(f"{self}: expected a package that reads such a store, found none ({error})") from error
        except Exception as error:
            raise OSError(errno.EIO, _one_line(error), self.url) from error


Location = Path | Address


def location(text: str) -> Location:
    """A path, or the address of objects in a store; file:// is a path."""
    if not _FORM.fullmatch(text):
        return Path(text)
    protocol, rest = _split(text)
    return Path(rest) if protocol == "file" else Address(f"{protocol}://{rest.rstrip('/')}")


@contextlib.contextmanager
def here(place: Location) -> Iterator[Path]:
    """A file of this machine with the content of one that may be elsewhere."""
    if isinstance(place, Path):
        yield place
        return
    with tempfile.TemporaryDirectory(prefix="mario-world-model-") as folder:
        place.download(Path(folder, place.name))
        yield Path(folder, place.name)


def _split(url: str) -> tuple[str, str]:
    found = _FORM.fullmatch(url)
    assert found is not None
    return found["protocol"].lower(), found["rest"]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
