from __future__ import annotations

import numpy as np
import pytest
import torch

from mario_world_model.emulation.truth import NO_PIT, TRUTH_FIELDS
from mario_world_model.evaluation.readout import TARGETS, Frames, fit_linear, fit_network, read_out, truth_of
from tests.rollouts.episodes import made_up_episode


def test_a_linear_map_is_found_exactly() -> None:
    torch.manual_seed(0)
    features = 50.0 + 3.0 * torch.randn(400, 6)
    values = features @ torch.arange(6.0) - 7.0
    torch.testing.assert_close(fit_linear(features, values, 0)(features), values, rtol=1e-2, atol=0.1)


def test_a_network_reads_what_a_linear_map_cannot() -> None:
    torch.manual_seed(0)
    features = torch.randn(3000, 4)
    values = features[:, 0] * features[:, 1]
    for fit, least, most in ((fit_linear, 0.0, 0.1), (fit_network, 0.8, 1.0)):
        guesses = fit(features[:2000], values[:2000], 0)(features[2000:])
        r2 = 1.0 - (guesses - values[2000:]).square().mean() / values.var()
        assert least - 0.1 < float(r2) <= most


def test_the_nearest_living_enemy_in_sight_is_read() -> None:
    episode = made_up_episode(steps=3)
    columns = {name: TRUTH_FIELDS.index(name) for name in TRUTH_FIELDS}
    truth = episode.truth
    truth[:, columns["x"]], truth[:, columns["y"]] = 500, 79
    for slot, (active, x, y) in enumerate([(1, 560, 184), (0, 510, 184), (1, 470, 176), (1, 900, 184), (1, 330, 184)]):
        truth[:, columns[f"enemy{slot}_active"]] = active
        truth[:, columns[f"enemy{slot}_x"]], truth[:, columns[f"enemy{slot}_y"]] = x, y
    truth[:, columns["pit_dx"]] = [NO_PIT, 40, 0, NO_PIT]
    found = truth_of(episode)
    assert found["enemy_dx"].tolist() == [-30.0] * 4
    assert found["enemy_dy"].tolist() == [0.0] * 4  # 255 − 176 is Mario's own height
    assert found["pit_dx"][1:3].tolist() == [40.0, 0.0]
    assert np.isnan(found["pit_dx"][[0, 3]]).all()
    truth[:, columns["enemy2_active"]] = truth[:, columns["enemy0_active"]] = 0
    assert np.isnan(truth_of(episode)["enemy_dx"]).all()


def test_targets_without_a_single_case_are_left_out() -> None:
    rng = np.random.default_rng(0)
    truths = {target: rng.normal(size=50).astype(np.float32) for target in TARGETS}
    truths["pit_dx"][:] = np.nan
    frames = Frames(torch.randn(50, 3), truths)
    found = read_out(frames, frames, seed=0)
    assert {one.target for one in found} == set(TARGETS) - {"pit_dx"}
    assert {one.reader for one in found} == {"linear", "network"}
    assert all(one.frames == 50 and one.r2 <= 1.0 and one.error == pytest.approx(one.error) for one in found)
