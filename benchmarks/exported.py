"""The page without a server, exported anew and served for as long as somebody looks at it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from mario_world_model import cli


@contextlib.contextmanager
def exported_page() -> Iterator[str]:
    """Its address, on this machine."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch) / "site"
        if cli.main(["export-web", "--output", str(site)]):
            raise SystemExit(2)
        handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}/"
            server.shutdown()
