"""V and M in half the bits and compiled: what is trained is the same thing, and is float32."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch
from torch import Tensor

from mario_world_model import cli
from mario_world_model.config import (
    LookaheadConfig,
    Precision,
    TrainMDNRNNConfig,
    TrainVAEConfig,
    VAEConfig,
)
from mario_world_model.errors import InputError
from mario_world_model.models.mdn_rnn import MDNRNN
from mario_world_model.models.precision import precision_on
from mario_world_model.models.vae import VAE, Posterior
from mario_world_model.rollouts.frames import FrameBatch, FramePool
from mario_world_model.rollouts.pickle_file import write_pickle
from mario_world_model.rollouts.sequences import SequenceBatch
from mario_world_model.training.arithmetic import check_arithmetic, compiling
from mario_world_model.training.ranks import ALONE, Ranks
from mario_world_model.training.resume import settings_of
from mario_world_model.training.train_mdn_rnn import _Losses as MDNRNNLosses
from mario_world_model.training.train_vae import _Losses as VAELosses
from mario_world_model.utils.checkpoint import load_checkpoint
from tests.rollouts.episodes import made_up_episode

CPU = torch.device("cpu")

# Half a unit in the last of bfloat16's 8 bits is 0.2 % of a number; sums of many such errors are smaller than one.
CLOSE = 0.005


def frames() -> FrameBatch:
    return FramePool([made_up_episode(0, steps=3)]).spread(4)


def vae_gradients(config: TrainVAEConfig, batch: FrameBatch) -> tuple[float, list[Tensor]]:
    torch.manual_seed(0)
    vae = VAE(config.model)
    losses = VAELosses(vae, None, config)
    if config.compile:
        losses.compile()
    loss = losses(batch, torch.randn(len(batch), config.model.latent_size)).total
    loss.backward()
    return loss.item(), [weight.grad for weight in vae.parameters() if weight.grad is not None]


def mdn_rnn_gradients(config: TrainMDNRNNConfig) -> tuple[float, list[Tensor]]:
    torch.manual_seed(0)
    network = MDNRNN(config.model, 24, 7)
    mean, log_variance = torch.randn(3, 9, 24), torch.randn(3, 9, 24) - 4.0
    steps = SequenceBatch(
        Posterior(mean, log_variance),
        torch.randint(7, (3, 8)),
        torch.randn(3, 8),
        torch.zeros(3, 8, 2),
        torch.ones(3, 8),
    )
    losses = MDNRNNLosses(network, config, torch.Generator().manual_seed(0), None)
    loss = losses(steps, ALONE.share(3)).total
    loss.backward()
    return loss.item(), [weight.grad for weight in network.parameters() if weight.grad is not None]


def distance(one: list[Tensor], other: list[Tensor]) -> float:
    """Of two gradients, in lengths of the first."""
    here, there = (torch.cat([part.flatten() for part in parts]) for parts in (one, other))
    return float((here - there).norm() / here.norm())


@pytest.mark.parametrize("architecture", ["glimpse", "flat", "grid", "paper"])
def test_the_loss_of_v_is_nearly_the_same_in_half_the_bits(architecture: str) -> None:
    model = VAEConfig(latent_size=64, architecture=architecture, widths=(8, 8, 8))  # type: ignore[arg-type]
    found = [vae_gradients(TrainVAEConfig(model=model, precision=precision), frames()) for precision in _PRECISIONS]
    (loss, gradient), (other, rougher) = found
    assert other == pytest.approx(loss, rel=CLOSE)
    assert all(part.dtype == torch.float32 and bool(part.isfinite().all()) for part in rougher)
    assert 0.0 < distance(gradient, rougher) < 0.1


def test_the_loss_of_m_is_nearly_the_same_in_half_the_bits() -> None:
    found = [mdn_rnn_gradients(TrainMDNRNNConfig(open_loop=3, precision=precision)) for precision in _PRECISIONS]
    (loss, gradient), (other, rougher) = found
    assert other == pytest.approx(loss, rel=CLOSE)
    assert all(part.dtype == torch.float32 and bool(part.isfinite().all()) for part in rougher)
    assert 0.0 < distance(gradient, rougher) < 0.1


_PRECISIONS: tuple[Precision, Precision] = ("float32", "bfloat16")


def test_where_mario_is_found_keeps_its_bits() -> None:
    """Places are read off by a sum over 32 columns, which bfloat16 would round to an eighth of one."""
    torch.manual_seed(0)
    vae, batch = VAE(VAEConfig()), frames()
    with torch.no_grad():
        exact = vae.encode(batch.frames).mean[:, :2]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rougher = vae.encode(batch.frames).mean
    assert rougher.dtype == torch.float32
    assert float((exact - rougher[:, :2]).abs().max()) < 0.01  # tiles


def test_checkpoints_are_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_pickle(tmp_path / "d.pkl", [made_up_episode(index, steps=40) for index in range(4)])
    flags = ["--preset", "debug", "--device", "cpu", "--dataset", "d.pkl", "--precision", "bfloat16"]
    assert cli.main(["train-vae", *flags, "--output", "v.pt"]) == 0
    assert cli.main(["train-mdn-rnn", *flags, "--vae", "v.pt", "--output", "m.pt"]) == 0
    for name, kind in (("v.pt", "vae"), ("m.pt", "mdn_rnn")):
        tensors = load_checkpoint(tmp_path / name, kind).tensors
        assert torch.bfloat16 not in {tensor.dtype for tensor in tensors.values()}
        assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


@pytest.fixture
def without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch takes a loss apart as for its compiler, whose part the usual kernels then play: seconds, not minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))


@pytest.mark.usefixtures("without_a_compiler")
@pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf"
)  # of the compiler's own reading
def test_a_compiled_loss_is_the_same() -> None:
    vae = [vae_gradients(TrainVAEConfig(compile=on), frames()) for on in (False, True)]
    assert vae[1][0] == pytest.approx(vae[0][0], rel=1e-5)
    assert distance(vae[0][1], vae[1][1]) < 1e-4
    mdn_rnn = [mdn_rnn_gradients(TrainMDNRNNConfig(open_loop=3, compile=on)) for on in (False, True)]
    assert mdn_rnn[1][0] == pytest.approx(mdn_rnn[0][0], rel=1e-5)
    assert distance(mdn_rnn[0][1], mdn_rnn[1][1]) < 1e-4


def test_auto_is_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def on_processor(**known: bool) -> list[Precision]:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known, raising=False)
        return [precision_on(device, "auto") for device in (CPU, torch.device("cuda"), torch.device("mps"))]

    assert on_processor(avx512_bf16=True, amx_bf16=True) == ["bfloat16", "float32", "float32"]
    assert on_processor(avx512_bf16=True, amx_bf16=False) == ["bfloat16", "float32", "float32"]
    assert on_processor(avx512_bf16=False, amx_bf16=False) == ["float32"] * 3
    assert on_processor() == ["float32"] * 3  # as on ARM
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert precision_on(CPU, "auto") == "float32"
    assert precision_on(CPU, "bfloat16") == "bfloat16"


def test_what_a_machine_cannot_do_is_said_in_one_line() -> None:
    with pytest.raises(InputError, match="--precision: expected float32 on this mps device, found bfloat16"):
        check_arithmetic(TrainVAEConfig(precision="bfloat16"), torch.device("mps"), ALONE)
    with pytest.raises(InputError, match="--compile: expected one process, found 2 of torchrun's"):
        check_arithmetic(TrainMDNRNNConfig(compile=True), CPU, Ranks(0, 2))
    check_arithmetic(TrainVAEConfig(precision="bfloat16", compile=True), CPU, ALONE)
    from torch._dynamo.exc import Unsupported

    with (
        pytest.raises(InputError, match=r"--compile: expected .*, found no compiler; leave --compile out"),
        compiling(),
    ):
        raise Unsupported("no compiler\nand much more")
    with pytest.raises(ZeroDivisionError), compiling():
        raise ZeroDivisionError


def test_a_run_that_began_before_there_was_a_choice_is_gone_on_with() -> None:
    usual, other = settings_of(TrainVAEConfig()), settings_of(TrainVAEConfig(precision="bfloat16", compile=True))
    assert set(other) - set(usual) == {"precision", "compile"}
    # What looks ahead as it did is gone on with, what does it otherwise is not; who does not need not be asked how.
    before = LookaheadConfig(
        3,
        lookahead_second=0,
        lookahead_death_cost=600.0,
        lookahead_again=1.0,
        lookahead_still=0,
        lookahead_patience=0,
        lookahead_precision="float32",
    )
    assert settings_of(before) == {"lookahead": 3}
    now = {
        "lookahead_second": 6,
        "lookahead_death_cost": 1200.0,
        "lookahead_again": 0.05,
        "lookahead_still": 16,
        "lookahead_patience": 64,
        "lookahead_precision": "auto",
    }
    assert settings_of(LookaheadConfig(3)) == {"lookahead": 3, **now}
    assert settings_of(LookaheadConfig()) == {} == settings_of(LookaheadConfig(lookahead_steps=5))
