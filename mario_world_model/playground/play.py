"""Open the playground: the real game left, its dream right, the same keys to both.

mario-world-model play
mario-world-model play --dataset data/mario_rollouts --ppo checkpoints/ppo_mario
"""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
import sys

import uvicorn

from mario_world_model.command import run_command
from mario_world_model.config import PlaygroundConfig
from mario_world_model.emulation.rom import find_rom
from mario_world_model.errors import InputError
from mario_world_model.playground.agent_files import agent_files
from mario_world_model.playground.app import make_app
from mario_world_model.playground.entry import Material
from mario_world_model.playground.guard import new_token
from mario_world_model.playground.messages import MOST_BYTES
from mario_world_model.playground.seats import Seats

# A flood of messages waits in its sender: what has been read has to be parsed at once, for everybody's time.
_RECEIVE_BUFFER = 8192


def open_socket(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        InputError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    try:
        listening.bind((host, port))
        listening.listen()  # now, so that whoever is told the address finds it open
    except OSError as error:
        listening.close()
        raise InputError(
            f"{host}:{port}: expected an address to listen on, found: {error.strerror or error}"
        ) from error
    return listening


def serve(config: PlaygroundConfig) -> None:
    """Serve until Ctrl-C."""
    find_rom("vanilla", config.console.rom)
    files = agent_files(config.vae, config.mdnrnn, config.controller)
    seats = Seats(Material(*files, config.ppo, config.dataset, config.keep, config.console), config.sessions)
    seats.try_out()
    listening = open_socket(config.host, config.port)
    token = new_token()
    app = make_app(seats, token, 60.0 * config.idle_minutes, loopback_only=_is_loopback(config.host))
    host, port = listening.getsockname()[:2]
    print(f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={token}", flush=True)
    print("Ctrl-C ends it.", file=sys.stderr)
    settings = uvicorn.Config(
        app,
        ws="websockets-sansio",
        ws_max_size=MOST_BYTES,
        ws_per_message_deflate=False,  # pictures are compressed already, and compressing is no work for this loop
        http="h11",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    # The server winds up after either signal and then raises it again; that is no mistake here.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(settings).run(sockets=[listening])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    return run_command(PlaygroundConfig, serve, "mario-world-model play", arguments)


if __name__ == "__main__":
    sys.exit(main())
