"""The process of one session: emulator, world model and clock, apart from the server and from everyone else's."""

from __future__ import annotations

import signal
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from pathlib import Path
from typing import Any, Final

from mario_world_model.checkpoints import load_controller, load_world_model
from mario_world_model.emulation.rom import find_rom, rom_sha1
from mario_world_model.errors import InputError
from mario_world_model.playground.clock import Clock
from mario_world_model.playground.entry import Material
from mario_world_model.playground.greeting import welcome
from mario_world_model.playground.messages import Message
from mario_world_model.playground.outbox import Outbox
from mario_world_model.playground.pictures import picture_parts
from mario_world_model.playground.players import Players
from mario_world_model.playground.recording import Recording
from mario_world_model.playground.session import Session, Shown
from mario_world_model.playground.starts import Starts
from mario_world_model.playground.wire import pack
from mario_world_model.policies.policy import Policy
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.utils.processes import use_one_thread

_FRAMES_PER_SECOND: Final = 60


class SessionProcess:
    """Answers messages and keeps the clock."""

    def __init__(self, connection: Connection, material: Material, keeping: Lock) -> None:
        self._connection = connection
        self._material = material
        self._keeping = keeping
        world_model, fingerprint = load_world_model(material.vae, material.mdnrnn)
        controller = load_controller(material.controller, world_model, fingerprint)
        self._dataset = None if material.dataset is None else open_dataset(material.dataset)
        players = Players(world_model, controller, _ppo(material.ppo))
        self._session = Session(world_model, players, Starts(world_model, material.console, self._dataset))
        self._rate = _FRAMES_PER_SECOND / world_model.controls.frame_skip
        self._speed = 1.0
        self._clock: Clock | None = None  # none before the first start and while paused
        self._begun = self._waiting = False
        self._buttons = self._tapped = 0
        self._count = 0  # of the last keys that a step has answered
        self._asked = 0  # of the last keys
        self._smooth = False
        self._outbox = Outbox(connection)
        self._recording: Recording | None = None
        self._took = 0.0

    def run(self) -> None:
        """Until the page is gone."""
        self._say(welcome(self._session.world_model, self._session.players.names, self._dataset))
        while True:
            wait = None if self._clock is None else max(0.0, self._clock.due - time.monotonic())
            # Everything that has been said is heard before the next step: the newest action wins.
            while self._connection.poll(wait):
                message = self._connection.recv()
                if message is None:
                    return
                self._hear(message)
                wait = 0.0
            clock = self._clock
            if clock is not None and time.monotonic() >= clock.due:
                self._step()
                clock.stepped(time.monotonic())
            if self._begun and self._outbox.ready:
                shown = self._session.show()
                self._outbox.send(self._header(shown), shown.point, picture_parts(shown, self._smooth))

    def _hear(self, message: Message) -> None:
        kind = message["type"]
        if not self._begun and kind not in ("begin", "ack"):
            return
        try:
            getattr(self, f"_on_{kind}")(**{name: value for name, value in message.items() if name != "type"})
        except InputError as mistake:
            self._say({"type": "notice", "text": str(mistake), "bad": True})

    def _on_begin(self, **given: Any) -> None:
        self._session.begin(**given)
        self._begun = True
        self._buttons = self._tapped = 0
        self._outbox.restart()
        # Nobody's game runs away before the first key.
        self._waiting = self._session.player == "you" and not given["plays"]
        if self._waiting:
            self._clock = None
        else:
            self._start_clock()
        self._outbox.change()
        if self._session.note:
            self._say({"type": "notice", "text": self._session.note, "bad": False})

    def _on_keys(self, buttons: int, count: int) -> None:
        self._tapped |= buttons & ~self._buttons
        self._buttons, self._asked = buttons, count
        if self._waiting and buttons:
            self._start_clock()
        if self._clock is not None and self._session.player == "you":
            self._clock.hasten(time.monotonic())

    def _on_player(self, who: str) -> None:
        self._session.set_player(who)
        if self._waiting:
            self._start_clock()
        self._outbox.change()

    def _on_pause(self, on: bool) -> None:
        if on:
            self._clock = None
        elif self._clock is None:
            self._start_clock()
        self._outbox.change()

    def _on_step(self) -> None:
        self._clock, self._waiting = None, False
        self._step()

    def _on_speed(self, value: float) -> None:
        self._speed = value
        if self._clock is not None:
            self._start_clock()
        self._outbox.change()

    def _on_smooth(self, on: bool) -> None:
        self._smooth = on

    def _on_sync(self) -> None:
        self._session.sync()
        self._outbox.change()

    def _on_temperature(self, value: float) -> None:
        self._session.temperature = value
        self._outbox.change()

    def _on_luck(self, seed: int) -> None:
        self._session.set_luck(seed)
        self._outbox.change()

    def _on_scrub(self, step: int) -> None:
        self._clock = None
        self._session.go_back(step)
        self._outbox.change()

    def _on_latent(self, index: int, value: float) -> None:
        self._session.set_latent(index, value)
        self._outbox.change()

    def _on_record(self, format: str) -> None:
        self._recording = Recording("gif" if format == "gif" else "mp4", self._rate)
        self._outbox.change()

    def _on_stop(self) -> None:
        recording, self._recording = self._recording, None
        if recording:
            header = {"type": "file", "name": f"dream.{recording.form}", "steps": len(recording)}
            self._connection.send_bytes(pack(header, [("file", recording.content())]))
        self._outbox.change()

    def _on_keep(self) -> None:
        session = self._session
        if session.demonstration is None or session.reality is None:
            raise InputError("keep: expected a real game beside the dream, found none")
        file, steps = session.demonstration.keep(
            self._material.keep,
            self._keeping,
            session.world_model.controls,
            session.reality.env_id,
            session.reality.backend,
            rom_sha1(find_rom("vanilla", self._material.console.rom)),
        )
        self._say({"type": "notice", "text": f"Kept {steps} steps in {file}", "bad": False})

    def _on_ack(self, frame: int) -> None:
        self._outbox.acknowledge(frame)

    def _start_clock(self) -> None:
        self._waiting = False
        self._clock = Clock(time.monotonic(), 1.0 / (self._rate * self._speed))

    def _step(self) -> None:
        if self._session.over:
            self._clock = None
            self._outbox.change()
            return
        begun = time.perf_counter()
        self._session.step(self._buttons | self._tapped)
        self._tapped, self._count = 0, self._asked
        shown = self._session.show()
        self._took = time.perf_counter() - begun
        self._outbox.add(shown.point)
        if self._recording is not None:
            self._recording.add(shown, self._session.real_frame)
            if self._recording.full:
                self._on_stop()

    def _header(self, shown: Shown) -> Message:
        session = self._session
        return {
            "step": shown.step,
            "oldest": shown.oldest,
            "newest": shown.newest,
            "real_end": shown.real_end,
            "dream_end": shown.dream_end,
            "paused": self._clock is None,
            "waiting": self._waiting,
            "player": session.player,
            "temperature": session.temperature,
            "speed": self._speed,
            "seed": session.seed,
            "count": self._count,
            "recording": self._recording is not None,
            "took": round(1e3 * self._took, 2),
        }

    def _say(self, message: Message) -> None:
        self._connection.send_bytes(pack(message, []))


def _ppo(path: Path | None) -> Policy | None:
    if path is None:
        return None
    # Imported here: stable-baselines3 takes a second that nobody else needs.
    from mario_world_model.policies.ppo import load_ppo

    return load_ppo(path)


def live(connection: Connection, material: Material, keeping: Lock) -> None:
    """The whole life of a session's process: it ends when the other end of the connection is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to answer
    use_one_thread()
    try:
        SessionProcess(connection, material, keeping).run()
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the page is gone
    except InputError as mistake:
        connection.send_bytes(pack({"type": "refused", "text": str(mistake)}, []))
