"""What one client can do to the server and to another: `python -m benchmarks.flood`.

Prints the times between a player's pictures beside a neighbour who plays too, quietly and while offering 10,000
messages a second, and the server's memory over a long run of malformed frames and of paths that lead nowhere.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import multiprocessing
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from mario_world_model.playground.wire import unpack

_BEGIN = {"type": "begin", "start": "1-1", "seed": 1, "temperature": 0.0, "player": "random", "plays": ""}
_OFFERED = 10_000  # messages a second
_HANDFUL = 100  # messages offered at once
_TURN = 5.0  # seconds
_PATHS = (
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/static/../config.py",
    "//etc/passwd",
    "/app.js%00",
    "/.git/config",
)


def _masked(payload: bytes, first: int = 0x81) -> bytes:
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def _call(address: str) -> ClientConnection:
    called: ClientConnection = connect(
        address.replace("http", "ws").replace("/?", "/play?"), origin=Origin(address.split("/?")[0])
    )
    return called


def frame_times(address: str, rounds: int, rate: Any) -> dict[str, dict[str, float]]:
    """Milliseconds between the pictures that a player gets, while `rate` changes every few seconds.

    Calm and flooded seconds take turns, so that whatever else this machine does falls on both alike.
    """
    between: dict[int, list[float]] = {0: [], _OFFERED: []}
    with _call(address) as client:
        _begin(client)
        for turn in range(2 * rounds):
            rate.value = (turn % 2) * _OFFERED
            time.sleep(0.5)
            until, last = time.monotonic() + _TURN, None
            while time.monotonic() < until:
                header = unpack(client.recv(timeout=10, decode=False))[0]
                if header["type"] != "frame":
                    continue
                client.send(json.dumps({"type": "ack", "frame": header["frame"]}))
                now = time.monotonic()
                if last is not None:
                    between[rate.value].append(1e3 * (now - last))
                last = now
                if header["paused"]:  # all has ended
                    _begin(client)
                    last = None
    return {
        name: {
            "frames": len(times),
            **{f"p{share}": round(float(np.percentile(times, share)), 1) for share in (50, 99)},
        }
        for name, times in (("calm", between[0]), ("flooded", between[_OFFERED]))
    }


def _begin(client: ClientConnection) -> None:
    client.send(json.dumps(_BEGIN))


def _neighbour(address: str, rate: Any, offered: Any) -> None:
    """Play, and offer messages at a rate whatever the server takes of them; come back when it hangs up."""
    message = _masked(json.dumps({"type": "keys", "buttons": 1, "count": 1}).encode())
    while rate.value >= 0:
        with contextlib.suppress(ConnectionClosed, OSError), _call(address) as client:
            _begin(client)
            client.socket.setblocking(False)
            last, owed = time.monotonic(), 0.0
            while rate.value >= 0:
                now = time.monotonic()
                owed, last = owed + (now - last) * rate.value, now
                while owed >= _HANDFUL:
                    owed -= _HANDFUL
                    offered.value += _HANDFUL
                    # What does not fit waits in our own buffer: this is what the server makes of a flood.
                    with contextlib.suppress(BlockingIOError):
                        client.socket.send(message * _HANDFUL)
                time.sleep(0.01)


def malformed(address: str, process: int, count: int) -> list[tuple[int, float]]:
    """Send malformed frames, a connection each; (frames, megabytes of the server) along the way."""
    rng = random.Random(1)
    frames: list[Callable[[], bytes]] = [
        lambda: b"\xff\xff\xff\xff",
        lambda: b"\x81\x05hello",
        lambda: _masked(b"\xc3\x28"),
        lambda: bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big") + b"\0\0\0\0",
        lambda: _masked(b"", 0x80),
        lambda: _masked(rng.randbytes(rng.randrange(1, 120))),
        lambda: _masked(rng.randbytes(rng.randrange(1, 120)), 0x82),
        lambda: _masked(b'{"type": "begin", "start": "../../etc/passwd"}'),
        lambda: _masked(b"[" * 120),
    ]
    memory = []
    for number, kind in zip(range(count + 1), itertools.cycle(frames), strict=False):
        if number % (count // 10) == 0:
            memory.append((number, _megabytes(process)))
        with _call(address) as client:
            client.socket.sendall(kind())
            try:
                client.recv(timeout=10)
            except ConnectionClosed:
                continue
        raise SystemExit("a malformed frame was answered")
    return memory


def paths(address: str, times: int) -> set[int]:
    """Statuses of requests for files that are none of the page's."""
    found = set()
    for path in _PATHS * times:
        connection = http.client.HTTPConnection(address.split("/")[2])
        connection.putrequest("GET", path)
        connection.endheaders()
        found.add(connection.getresponse().status)
        connection.close()
    return found


def _megabytes(process: int) -> float:
    """Memory of a process (Linux)."""
    status = Path(f"/proc/{process}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def main() -> None:
    flags = argparse.ArgumentParser(description=__doc__)
    flags.add_argument("--rounds", type=int, default=12)
    flags.add_argument("--malformed", type=int, default=100_000)
    chosen = flags.parse_args()
    command = [sys.executable, "-m", "mario_world_model", "play", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        context = multiprocessing.get_context("spawn")
        rate, offered = context.Value("q", 0), context.Value("q", 0)
        neighbour = context.Process(target=_neighbour, args=(address, rate, offered))
        neighbour.start()
        time.sleep(2)
        found: dict[str, Any] = {**frame_times(address, chosen.rounds, rate), "offered": offered.value}
        rate.value = -1
        neighbour.join()
        found["paths"] = sorted(paths(address, 100))
        found["megabytes"] = malformed(address, server.pid, chosen.malformed)
        server.terminate()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
