from mario_world_model.command import run_command
from mario_world_model.config import ExportWebConfig


def main(arguments: list[str] | None = None) -> int:
    return run_command(ExportWebConfig, print, "mario-world-model export-web", arguments)
