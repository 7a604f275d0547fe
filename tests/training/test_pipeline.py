from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import imageio.v3 as iio
import pytest

from mario_world_model import cli
from mario_world_model.config import (
    CollectConfig,
    RunConfig,
    TrainControllerConfig,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    preset_config,
)
from mario_world_model.evaluation.summary import Summary
from mario_world_model.rollouts.dataset import open_dataset
from mario_world_model.training import pipeline
from mario_world_model.training.data_collection import collect
from mario_world_model.training.pipeline import Result, describe_result
from mario_world_model.training.rounds import Collected, Round
from mario_world_model.training.train_controller import ControllerFigures
from mario_world_model.training.train_mdn_rnn import MDNRNNFigures
from mario_world_model.training.train_vae import VAEFigures
from mario_world_model.utils.storage import Location


@pytest.mark.usefixtures("rom")
def test_a_run_ends_with_a_summary_and_two_videos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "run"
    looking = ["--lookahead", "1", "--lookahead-steps", "2", "--round-episodes-alone", "1", "--round-rate", "0.3"]
    looking += ["--round-stray", "0.5", "--round-stray-alone", "0.2", "--last-share", "1.5"]
    assert cli.main(["run", "--preset", "debug", "--output", str(output), *looking]) == 0
    said = capsys.readouterr().out
    assert "stage 3 of at most 9: mdn-rnn of round 1\n" in said
    assert "  mdn-rnn of round 1: loss before " in said
    assert "\x1b" not in said
    summary = json.loads((output / "summary.json").read_text())
    assert len(summary["rounds"]) == 2
    assert "  episodes alone of round 1: episodes 5; " in said
    # There is nobody to learn from what the last controller does, and it is not chosen by it.
    assert summary["rounds"][0]["collected"]["episodes"] == summary["episodes"] == 7
    assert summary["rounds"][1]["collected"] is None
    assert " episodes of round 2" not in said
    # V and the last round's M and C, what these were begun from, and the collection of all that M was trained on.
    parts = [json.loads((output / f"{name}_mario.pt.json").read_text()) for name in ("vae", "mdn_rnn", "controller")]
    costs = [part["finished"]["cost"] for part in parts]
    hours = sum(cost["core_hours"] for cost in costs) + costs[1]["data_core_hours"]
    assert json.loads((output / "agent.json").read_text())["agent"]["core_hours"] == pytest.approx(hours)
    assert json.loads((output / "agent.json").read_text())["agent"]["name"] == "world model, looking ahead in 1 dreams"
    played = [episode.info.policy for episode in open_dataset(output / "rollouts").episodes]
    assert played == [
        *["explore"] * 4,
        "world model, astray at times",
        *["world model, looking ahead, astray at times"] * 2,
    ]
    assert hours * 3600 > sum(cost["seconds"] for cost in costs)
    first, second = (json.loads((output / f"round-{one}" / "mdn_rnn_mario.pt.json").read_text()) for one in (1, 2))
    assert second["learning_rate"] == pytest.approx(0.3 * first["learning_rate"])
    assert (first["epochs"], second["epochs"]) == (2, 3)
    last = output / "round-2" / "controller_mario.pt"
    assert (output / last.name).read_bytes() == last.read_bytes() != (output / "round-1" / last.name).read_bytes()
    for agent in ("agent", "random"):
        assert f"mean max x {summary[agent]['mean_max_x']:.0f}" in said
    assert (output / "summary.md").read_text().strip() in said
    for video in ("agent.mp4", "dream_beside_reality.mp4"):
        assert iio.improps(output / video, plugin="pyav").shape[0] > 5
    assert iio.imread(output / "dream_beside_reality.png").std() > 10


def test_minutes_are_scaled_for_slower_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[TrainVAEConfig | TrainMDNRNNConfig | TrainControllerConfig] = []
    for name in ("train_vae", "train_mdn_rnn", "train_controller"):
        monkeypatch.setattr(pipeline, name, given.append)
    for factor in (1.0, 2.5):
        config = dataclasses.replace(preset_config(RunConfig, "cores"), output=tmp_path, time_factor=factor)
        stages = pipeline._Run(config)
        stages.train_vae()
        stages.train_mdn_rnn(0)
        stages.train_mdn_rnn(1)
        stages.train_controller(0)
    minutes = [one.max_minutes for one in given]
    assert min(minutes) > 0.0
    assert minutes[4:] == pytest.approx([2.5 * one for one in minutes[:4]])


@pytest.mark.usefixtures("rom")
def test_a_run_ends_early_with_a_round_that_gets_to_the_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play = pipeline._Run.collect_with
    # A network that learnt for a second does not get there by itself.
    monkeypatch.setattr(
        pipeline._Run, "collect_with", lambda stages, number: dataclasses.replace(play(stages, number), flags=0.5)
    )
    config = dataclasses.replace(preset_config(RunConfig, "debug"), output=tmp_path, stop_at_flags=0.5)
    assert len(pipeline.run(config).rounds) == 1 < config.rounds
    for name in ("mdn_rnn_mario.pt", "controller_mario.pt"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "round-1" / name).read_bytes()


@pytest.mark.usefixtures("rom")
@pytest.mark.parametrize(("collections", "noted"), [(2, False), (2, True), (3, False)])
def test_a_run_broken_off_between_its_two_kinds_of_episodes_adds_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, collections: int, noted: bool
) -> None:
    begun = 0

    def broken_off(config: CollectConfig) -> Location:
        nonlocal begun
        begun += 1
        if noted and begun > collections:
            raise KeyboardInterrupt
        found = collect(config)
        if not noted and begun == collections:
            raise KeyboardInterrupt
        return found

    line = f"run --preset debug --rounds 2 --output {tmp_path}/r --lookahead 1 --lookahead-steps 2"
    command = [*line.split(), "--round-episodes-alone", "1"]
    monkeypatch.setattr(pipeline, "collect", broken_off)
    assert cli.main(command) == 130
    monkeypatch.setattr(pipeline, "collect", collect)
    assert cli.main(command) == 0
    played = [episode.info.policy for episode in open_dataset(tmp_path / "r" / "rollouts").episodes]
    assert played == [*["explore"] * 4, "world model", *["world model, looking ahead"] * 2]


@pytest.mark.parametrize(("agent_x", "verdict"), [(900.0, "got 200 pixels further"), (650.0, "did NOT get further")])
def test_the_summary_says_plainly_who_got_further(agent_x: float, verdict: str) -> None:
    random = Summary(20, 100.0, 10.0, 700.0, 50.0, 900, 0.0, 100.0, 400.0)
    agent = dataclasses.replace(random, mean_max_x=agent_x)
    own = Collected(10, 1000, 300.0, 350.0, 0.0)
    one = Round(MDNRNNFigures(2.0, 1.0, 0.5, 1.0), ControllerFigures(100.0, 50), own, 60.0)
    last = dataclasses.replace(one, collected=None)
    result = Result(VAEFigures(9.0, 1.0, 28.0), [one, last], 10, 1000, agent, random, 120.0)
    said = describe_result(preset_config(RunConfig, "demo"), result)
    assert verdict in said
    assert f"mean max x {agent_x:.0f}" in said
    assert "mean max x 700" in said
    # Two means of 20 episodes with a deviation of 50: standard error 15.8.
    assert "standard error of the difference 16: more than chance explains" in said
    close = dataclasses.replace(result, agent=dataclasses.replace(random, mean_max_x=710.0))
    assert "not distinguishable from chance" in describe_result(preset_config(RunConfig, "demo"), close)
