from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mario_world_model import cli
from mario_world_model.checkpoints import save_controllers
from mario_world_model.errors import InputError
from mario_world_model.evaluation.dream_against_reality import one_path
from mario_world_model.models.controller import Controllers
from mario_world_model.rollouts.episode_file import write_episode
from mario_world_model.training import train_controller
from mario_world_model.training.train_controller import path_file
from mario_world_model.utils.checkpoint import load_checkpoint
from tests.rollouts.episodes import made_up_episode
from tests.world import ACTIONS, save_world, small_world


@pytest.mark.usefixtures("rom")
def test_every_probe_of_a_small_world(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = small_world()
    save_world(tmp_path, world)
    fingerprint = load_checkpoint(tmp_path / "m.pt", "mdn_rnn").fingerprint
    path = Controllers(0.1 * torch.randn(3, ACTIONS, world.features), torch.zeros(3, ACTIONS), bound=1.0)
    save_controllers(path_file(tmp_path / "c.pt"), path, world, fingerprint, {})
    # Of another round: that it was evolved on another M does not matter.
    save_controllers(path_file(tmp_path / "before.pt"), path, world, "of another", {})
    (tmp_path / "d").mkdir()
    for index in range(12):
        write_episode(tmp_path / "d" / f"episode-{index:06d}.safetensors", made_up_episode(index, steps=60))
    command = (
        f"probe --dataset {tmp_path}/d --own {tmp_path}/d --vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt "
        f"--controller {tmp_path}/c.pt --earlier {tmp_path}/before.pt "
        f"--output {tmp_path}/p.json --dreams 4 --episodes 1 --max-steps 25"
    )
    assert cli.main(command.split()) == 0
    said = capsys.readouterr().out
    # Not a number is not JSON either: other readers than Python's refuse it.
    found = json.loads((tmp_path / "p.json").read_text(), parse_constant=pytest.fail)
    assert {one["target"] for one in found["latents"]} >= {"y", "screen_x"}
    assert [one["horizon"] for one in found["open_loop"]] == [2, 2, 4, 4, 8, 8, 12, 12, 16, 16]
    assert {one["horizon"] for one in found["drift"]} == {1, 2, 4, 8, 12, 16, 24, 32, 48}
    assert sum(found["mixture"]["entropy"]["shares"]) == pytest.approx(1.0)
    assert sum(found["mixture"]["log_sigma"]["shares"]) == pytest.approx(1.0)
    assert 0.0 <= found["mixture"]["entropy"]["mean"] <= found["mixture"]["most"]
    assert len(found["agreement"]["real"]) == 2 * 3 + 8
    assert -1.0 <= found["agreement"]["spearman"] <= 1.0
    whole = found["mortality"][-1]
    assert whole["situations"] == sum(one["situations"] for one in found["mortality"][:-1])
    assert f"x {whole['first']:4d} to {whole['last']:4d}: {whole['dreamt']:4.0%} | {whole['real']:4.0%}" in said
    assert f"AUC {found['one_step']['auc']:.4f}" in said
    assert f"Spearman {found['agreement']['spearman']:.2f}" in said


def test_the_path_of_several_rounds_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def evolution(first: float, count: int, bound: float = 1.0) -> Controllers:
        weight = torch.arange(first, first + count).view(-1, 1, 1).expand(-1, ACTIONS, 2)
        return Controllers(weight.clone(), torch.zeros(count, ACTIONS), bound)

    rounds = [evolution(0, 3), evolution(3, 5), evolution(8, 1)]
    assert one_path(rounds).weight[:, 0, 0].tolist() == list(range(9))
    monkeypatch.setattr(train_controller, "PATH_POINTS", 4)
    assert one_path(rounds).weight[:, 0, 0].tolist() == [0, 2, 5, 8]
    with pytest.raises(InputError, match=r"earlier: expected controllers of 0 units, bounded by 1, .* bounded by 3"):
        one_path([evolution(0, 2, bound=3.0), *rounds])


def test_a_path_is_not_taken_for_a_controller(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = small_world()
    save_world(tmp_path, world)
    fingerprint = load_checkpoint(tmp_path / "m.pt", "mdn_rnn").fingerprint
    path = Controllers(torch.zeros(3, ACTIONS, world.features), torch.zeros(3, ACTIONS), bound=1.0)
    save_controllers(tmp_path / "c.path.pt", path, world, fingerprint, {})
    command = f"evaluate --vae {tmp_path}/v.pt --mdnrnn {tmp_path}/m.pt --controller {tmp_path}/c.path.pt"
    assert cli.main(command.split()) == 2
    assert "expected one controller, found the 3 of an evolution's path" in capsys.readouterr().err
