"""The examples, made small."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples import ppo_in_the_dream


@pytest.mark.usefixtures("rom")
def test_what_was_learned_in_the_dream_plays_the_real_game(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "dream_ppo.zip"
    ppo_in_the_dream.main(timesteps=128, episodes=1, output=output)
    said = capsys.readouterr().out.splitlines()
    assert any(line.startswith(f"{output}: mean score ") for line in said)
    assert any(line.startswith("uniform: mean score ") for line in said)
