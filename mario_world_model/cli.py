"""`mario-world-model <command>`: every stage, and what surrounds them.

Nothing heavy is imported before a command is known, so that --help answers at once.
"""

from __future__ import annotations

import importlib
import sys

from mario_world_model import __version__

COMMANDS = {
    "run": ("mario_world_model.training.pipeline", "the whole pipeline: collect, train, evaluate, show"),
    "rom": ("mario_world_model.emulation.rom_command", "get the game's ROM, or check your own"),
    "collect": ("mario_world_model.training.data_collection", "play episodes and keep them as a data set"),
    "data": ("mario_world_model.rollouts.data_command", "look into a data set, take it to Minari and back"),
    "train-vae": ("mario_world_model.training.train_vae", "train the VAE on a data set's frames"),
    "train-mdn-rnn": ("mario_world_model.training.train_mdn_rnn", "train the MDN-RNN on their latents"),
    "train-controller": ("mario_world_model.training.train_controller", "evolve the controller in the dream"),
    "probe": ("mario_world_model.evaluation.probe", "ask a world model how far it can be believed"),
    "check-search": ("mario_world_model.evaluation.check_search", "play plans that a search in the dream chose"),
    "dream": ("mario_world_model.evaluation.dream_video", "watch a dream, alone or beside the game"),
    "ship": ("mario_world_model.training.ship", "make the small files of an agent, to give away"),
    "ppo": ("mario_world_model.training.ppo_baseline", "train the model-free baseline"),
    "play": ("mario_world_model.playground.play", "play the dream beside the real game, in a browser"),
    "export-web": ("mario_world_model.playground.export_web", "make a static page that dreams in the browser"),
    "evaluate": ("mario_world_model.training.evaluate", "play an agent in the real game"),
    "report": ("mario_world_model.report.report", "write the comparison of evaluated agents"),
}


def usage() -> str:
    """The text of --help."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: mario-world-model <command> [flags]",
            "",
            "World Models (Ha & Schmidhuber, 2018) on Super Mario Bros.",
            "",
            *lines,
            "",
            "mario-world-model <command> --help lists the flags of a command.",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Dispatch to a command; the exit status is its own, or 2 for an unknown one."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    command = COMMANDS.get(arguments[0])
    if command is None:
        expected = ", ".join(COMMANDS)
        print(f"mario-world-model: expected a command ({expected}), found {arguments[0]!r}", file=sys.stderr)
        return 2
    try:
        stage = importlib.import_module(command[0])
    except KeyboardInterrupt:
        # Loading torch takes seconds, in which nothing listens for Ctrl-C yet.
        print(f"mario-world-model {arguments[0]}: interrupted", file=sys.stderr)
        return 130
    status: int = stage.main(arguments[1:])
    return status
