"""What the server lets in, what it refuses, and that neither floods nor nonsense wear it out."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mario_world_model.playground.connection import IDLE
from mario_world_model.playground.wire import unpack
from tests.playground.conftest import Server

BEGIN = {"type": "begin", "start": "1-1", "seed": 1, "temperature": 1.0, "player": "random", "plays": ""}


def get(server: Server, target: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    """A request as it stands: nothing tidies up the path."""
    connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=60)
    connection.putrequest("GET", target, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body, found = answer.read(), {name.lower(): value for name, value in answer.getheaders()}
    connection.close()
    return answer.status, body, found


def call(server: Server, origin: str | None = "", address: str = "") -> ClientConnection:
    return connect(address or server.socket_address, origin=server.origin if origin == "" else origin)  # type: ignore[arg-type]


def frames(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    """Headers of the next frames, each acknowledged."""
    found = []
    while len(found) < count:
        header = unpack(client.recv(timeout=60))[0]  # type: ignore[arg-type]
        if header["type"] == "frame":
            client.send(json.dumps({"type": "ack", "frame": header["frame"]}))
            found.append(header)
    return found


def closed(client: ClientConnection) -> tuple[int, str]:
    """With which code and reason the server hung up."""
    with pytest.raises(ConnectionClosed) as end:
        for _ in iter(lambda: client.recv(timeout=60), None):
            pass
    close = end.value.rcvd
    assert close is not None
    return close.code, close.reason


def test_the_page_needs_the_token(server: Server) -> None:
    target = "/" + server.address.split("/", 3)[3]
    status, body, headers = get(server, target)
    assert status == 200
    assert b"Mario World Model" in body
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    for wrong in ("/", "/?token=", "/?token=x", target[:-1], target + "x"):
        assert get(server, wrong)[0] == 403


def test_a_strange_host_is_refused(server: Server) -> None:
    target = "/" + server.address.split("/", 3)[3]
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
        assert get(server, target, Host=host)[0] == 421


def test_a_strange_origin_or_token_gets_no_session(server: Server) -> None:
    for origin in ("http://evil.example", "null", None, server.origin + "0"):
        with pytest.raises(InvalidStatus) as refusal:
            call(server, origin)
        assert refusal.value.response.status_code == 403
    with pytest.raises(InvalidStatus):
        call(server, address=server.socket_address + "x")


def test_no_path_leads_anywhere_but_to_the_page_s_files(server: Server, rom: Path) -> None:
    paths = [
        "/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/static/../config.py",
        "//etc/passwd",
        "/app.js/../../config.py",
        "/app.js%00.html",
        "/APP.JS",
        "/full.html",
        "/source_local.js",
        "/.git/config",
        "/pretrained/vae_mario.pt",
        "/" + rom.name,
        str(rom),
        "/" + "../" * 2000,
        "/\\..\\..\\windows",
        "/%ff%fe",
    ]
    for path in paths:
        status, body, _ = get(server, path)
        assert status in (400, 404, 414), path
        assert b"root:" not in body
        assert len(body) < 200
    status, _, headers = get(server, "/app.js")
    assert status == 200
    assert headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("said", ["nonsense", "{}", '{"type": "step"}', b"\x00\x01", "x" * 5000, '{"type": "begin"}'])
def test_nonsense_is_closed_with_a_reason_before_anything_starts(server: Server, said: str | bytes) -> None:
    with call(server) as client:
        client.send(said)
        code, reason = closed(client)
    assert code in (1008, 1009)
    assert reason


def test_nonsense_ends_a_session_and_frees_its_seat(server: Server) -> None:
    for _ in range(4):  # one more than there are seats
        with call(server) as client:
            client.send(json.dumps(BEGIN))
            frames(client, 2)
            client.send('{"type": "latent", "index": 1e9, "value": 0}')
            code, reason = closed(client)
        assert code == 1008
        assert "latent: index: expected a whole number" in reason
        wait_for_a_seat(server)


def wait_for_a_seat(server: Server) -> None:
    target = "/" + server.address.split("/", 3)[3]
    for _ in range(200):
        if get(server, target)[0] == 200:
            return
        time.sleep(0.05)
    raise AssertionError("no seat became free")


def test_a_page_that_does_not_answer_gets_no_backlog(server: Server) -> None:
    with call(server) as client:
        client.send(json.dumps(BEGIN))
        first = unacknowledged(client)
        assert len(first) == 2
        client.send(json.dumps({"type": "ack", "frame": 2}))
        newest = unpack(client.recv(timeout=60))[0]  # type: ignore[arg-type]
        # What happened meanwhile, several steps on however slow a machine, comes in one picture, the latest, with all
        # the points of the curves.
        assert newest["frame"] == 3
        assert newest["step"] > first[-1]["step"] + 1
        assert [point[0] for point in newest["points"]] == list(range(first[-1]["step"] + 1, newest["step"] + 1))
    wait_for_a_seat(server)


def unacknowledged(client: ClientConnection) -> list[dict[str, Any]]:
    """What comes within three seconds to somebody who says nothing."""
    found, until = [], time.monotonic() + 3.0
    while (left := until - time.monotonic()) > 0:
        try:
            header = unpack(client.recv(timeout=left))[0]  # type: ignore[arg-type]
        except TimeoutError:
            break
        if header["type"] == "frame":
            found.append(header)
    return found


def test_a_flood_is_read_slowly_and_does_not_stop_another_s_game(server: Server) -> None:
    with call(server) as player, call(server) as flooder:
        for client in (player, flooder):
            client.send(json.dumps(BEGIN))
        before = frames(player, 15)[-1]["step"]
        flooder.socket.setblocking(False)
        message = masked(json.dumps({"type": "keys", "buttons": 1, "count": 1}).encode())
        for _ in range(30):
            for _ in range(50):
                try:
                    flooder.socket.send(message * 20)
                except BlockingIOError:
                    break
            frames(player, 1)
        after = frames(player, 15)
        assert after[-1]["step"] - before >= 45
        assert get(server, "/app.js")[0] == 200
        flooder.socket.shutdown(socket.SHUT_RDWR)
    wait_for_a_seat(server)


def masked(payload: bytes) -> bytes:
    """A WebSocket text frame of a client, the mask all zeros."""
    return bytes([0x81, 0x80 | len(payload), 0, 0, 0, 0]) + payload


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xff\xff\xff",  # reserved bits and opcode
        b"\x81\x05hello",  # not masked
        bytes([0x81, 0x82, 0, 0, 0, 0, 0xC3, 0x28]),  # not UTF-8
        bytes([0x09, 0xFE, 0, 0x7E, 0, 0, 0, 0]) + b"x" * 126,  # an overlong, fragmented ping
        bytes([0x81, 0xFF]) + (2**62).to_bytes(8, "big") + b"\0\0\0\0",  # a frame of exabytes
        bytes([0x80, 0x80, 0, 0, 0, 0]),  # the end of nothing
    ],
)
def test_broken_frames_close_the_connection_and_nothing_else(server: Server, raw: bytes) -> None:
    with call(server) as client:
        client.socket.sendall(raw)
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=60)
    assert get(server, "/app.js")[0] == 200


def test_somebody_who_says_nothing_is_closed(rom: Path) -> None:
    del rom
    running = Server("--idle-minutes", "0.02")
    try:
        with call(running) as client:
            client.send(json.dumps(BEGIN))
            with pytest.raises(ConnectionClosed) as end:
                frames(client, 1000)  # acknowledging is not playing
            assert end.value.rcvd is not None
            assert (end.value.rcvd.code, end.value.rcvd.reason) == (IDLE, "nobody has played for a while")
    finally:
        assert running.end() == ""


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ("--port 70000", "port: expected 0 to 65535"),
        ("--vae v.pt", "expected --vae, --mdnrnn and --controller together or none, found no --mdnrnn"),
        ("--dataset nowhere --port 0", "nowhere: expected a data set"),
        ("--rom nowhere.nes", "expected a file"),
        ("--host 203.0.113.1", "203.0.113.1:8585: expected an address to listen on"),
    ],
)
def test_a_mistake_is_one_line(flags: str, says: str, rom: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mario_world_model import cli

    del rom
    assert cli.main(["play", *flags.split()]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
