from __future__ import annotations

import subprocess
import sys

import pytest

from mario_world_model import __version__, cli
from mario_world_model.config import (
    PRESETS,
    CollectConfig,
    EvaluateConfig,
    PPOConfig,
    RunConfig,
    TrainControllerConfig,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    VAEConfig,
    from_plain,
    preset_config,
    to_plain,
)
from mario_world_model.errors import InputError

STAGES = (
    CollectConfig,
    TrainVAEConfig,
    TrainMDNRNNConfig,
    TrainControllerConfig,
    PPOConfig,
    EvaluateConfig,
    RunConfig,
)


def test_help_lists_every_command_and_loads_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 0
    said = capsys.readouterr().out
    assert all(command in said for command in cli.COMMANDS)
    code = (
        "import sys\nfrom mario_world_model import cli\ncli.main(['--help'])\n"
        "assert not {'torch', 'numpy', 'gymnasium', 'tyro'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_an_end_while_a_command_loads_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    assert cli.main(["evaluate", "--pretrained"]) == 130
    assert capsys.readouterr().err == "mario-world-model evaluate: interrupted\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("stage", STAGES)
def test_every_preset_is_sound(stage: type, preset: str) -> None:
    config = preset_config(stage, preset)  # type: ignore[arg-type]
    assert config.preset == preset
    assert to_plain(config)["preset"] == preset


def test_flags_beat_the_preset_and_the_preset_beats_the_defaults() -> None:
    from mario_world_model.command import parse_flags

    config = parse_flags(TrainVAEConfig, ["--preset", "paper", "--latent-size", "16"], "train-vae")
    assert config.model.latent_size == 16
    assert config.model.architecture == "paper"
    assert config.batch_size == 100
    assert config.seed == TrainVAEConfig().seed


def test_an_architecture_survives_the_way_through_a_checkpoint() -> None:
    config = VAEConfig(latent_size=128, widths=(4, 8, 16), beta=2.0)
    assert from_plain(VAEConfig, to_plain(config), "v.pt") == config
    with pytest.raises(InputError, match=r"v\.pt: VAEConfig has no field 'nonsense'"):
        from_plain(VAEConfig, {"nonsense": 1}, "v.pt")
    with pytest.raises(InputError, match=r"v\.pt: VAEConfig\.latent_size: expected int, found '9'"):
        from_plain(VAEConfig, {"latent_size": "9"}, "v.pt")
