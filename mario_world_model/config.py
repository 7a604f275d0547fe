"""Every hyper-parameter of the project: one frozen dataclass per stage, and the named presets.

What a flag may be called, what it defaults to and which values are refused is decided here and
nowhere else. A value is refused at construction, so a merged configuration is sound before any
work starts.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from tyro.conf import OmitArgPrefixes, Positional
from tyro.constructors import PrimitiveConstructorSpec

from mario_world_model.errors import InputError
from mario_world_model.utils.storage import Location, location

ActionSet = Literal["RIGHT_ONLY", "SIMPLE_MOVEMENT", "COMPLEX_MOVEMENT"]
BackendChoice = Literal["auto", "stable-retro", "nes-py"]
PresetName = Literal["default", "demo", "cores", "gpu", "paper", "debug"]
ProtocolName = Literal["sticky", "deterministic", "noops", "start-states"]
DeviceChoice = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]
PrecisionChoice = Literal["auto", "float32", "bfloat16"]

DataSet = Annotated[
    Location,
    PrimitiveConstructorSpec(
        nargs=1,
        metavar="PATH|ADDRESS",
        instance_from_str=lambda words: location(words[0]),
        is_instance=lambda value: isinstance(value, Location),
        str_from_instance=lambda value: [str(value)],
    ),
]
"""Where a data set is: the only thing that may be in a store, as s3://bucket/run/rollouts."""

TRAINING_SEEDS, TEST_SEEDS, VALIDATION_SEEDS = (
    range(1_000_000),
    range(1_000_000, 2_000_000),
    range(2_000_000, 3_000_000),
)
"""Seeds by what they are for: what an agent learns from, what it is reported on, and what is chosen by."""


def _refuse_unless(holds: bool, config: object, name: str, allowed: str) -> None:
    if not holds:
        raise InputError(f"{name}: expected {allowed}, found {getattr(config, name)!r} (in {type(config).__name__})")


# -- what the agent meets ------------------------------------------------------------------------


@dataclass(frozen=True)
class PlayConfig:
    """Which game is played, and how unpredictable it is."""

    env: str = "SuperMarioBros-1-1-v0"
    """Environment id, SuperMarioBros[-<world>-<stage>]-v<0..3> or SuperMarioBrosRandomStages-v<0..3>."""
    sticky: float = 0.25
    """Probability per step that the previous action is repeated instead of the chosen one."""
    noops: int = 30
    """Most no-op frames, drawn uniformly from 0 to this number, before an episode starts."""
    backend: BackendChoice = "auto"
    """Emulator: stable-retro where it is installed, else nes-py."""
    rom: Path | None = None
    """A dump of your own; default: MARIO_ROM, the cache folder, an installed gym-super-mario-bros."""

    def __post_init__(self) -> None:
        _refuse_unless(0.0 <= self.sticky < 1.0, self, "sticky", "a probability in [0, 1)")
        _refuse_unless(0 <= self.noops <= 600, self, "noops", "0 to 600 frames")

    def with_controls(self, actions: ActionSet, frame_skip: int) -> GameConfig:
        """The same game under the controls that an agent was trained with."""
        return GameConfig(**{**vars(self), "actions": actions, "frame_skip": frame_skip})


@dataclass(frozen=True)
class ConsoleConfig:
    """On what the game is played, where everything else about it is chosen elsewhere."""

    backend: BackendChoice = "auto"
    """Emulator: stable-retro where it is installed, else nes-py."""
    rom: Path | None = None
    """A dump of your own; default: MARIO_ROM, the cache folder, an installed gym-super-mario-bros."""


@dataclass(frozen=True)
class GameConfig(PlayConfig):
    """The game as an agent meets it; the same for collection, evaluation and the baseline."""

    actions: ActionSet = "SIMPLE_MOVEMENT"
    """Action set: 5, 7 or 12 button combinations."""
    frame_skip: int = 4
    """Emulator frames per agent step; the action is held."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_unless(1 <= self.frame_skip <= 60, self, "frame_skip", "1 to 60 frames")


@dataclass(frozen=True)
class ViewConfig:
    """What an agent sees of a screen."""

    size: int = 64
    """Height and width in pixels after the area resize."""
    grey: bool = False
    """One luminance channel instead of RGB."""
    stack: int = 1
    """Consecutive views given together, oldest first, along the channel axis."""
    mask_hud: bool = True
    """Blank the score line, whose digits a model would otherwise spend itself on."""

    def __post_init__(self) -> None:
        _refuse_unless(8 <= self.size <= 224, self, "size", "8 to 224 pixels")
        _refuse_unless(1 <= self.stack <= 16, self, "stack", "1 to 16 views")


@dataclass(frozen=True)
class MaskedHUD:
    """The one choice a user has about the world model's 64×64 RGB view."""

    mask_hud: bool = True
    """Blank the score line, whose digits a model would otherwise spend itself on."""

    def view(self) -> ViewConfig:
        return ViewConfig(mask_hud=self.mask_hud)


# -- architectures: saved inside a checkpoint, enough to rebuild the network ----------------------


@dataclass(frozen=True)
class VAEConfig:
    """Shape and loss of the VAE (Ha & Schmidhuber 2018, appendix A.1; σ-VAE: Rybkin et al. 2021)."""

    latent_size: int = 80
    """Numbers in a latent."""
    architecture: Literal["glimpse", "flat", "grid", "paper"] = "glimpse"
    """flat: one fully connected vector; glimpse: the same, from an encoder that also finds Mario and looks around him;
    grid: 8×8 cells of latent_size/64 channels; paper: the 2018 layout."""
    widths: tuple[int, ...] = (24, 48, 96)
    """Channels of the stride-2 convolutions, first to last (all but paper)."""
    landmarks: bool = True
    """Whether the first numbers of a latent are taught, beside the picture, where Mario, enemies, pits and the screen
    are; otherwise V learns from pictures alone."""
    enemy_map: bool = True
    """Whether a glimpse encoder that is taught landmarks finds enemies on a map, off which the nearest are read."""
    likelihood: Literal["calibrated", "squared_error"] = "calibrated"
    """calibrated: D/2·log(MSE), one optimal variance a batch; squared_error: the paper's sum of squares,
    under which a sprite the size of Mario is not worth encoding."""
    beta: float = 1.0
    """Weight of the KL term."""
    free_nats: float = 0.0
    """Nats of KL per latent number that cost nothing (the paper's tolerance is 0.5)."""

    def __post_init__(self) -> None:
        _refuse_unless(1 <= self.latent_size <= 4096, self, "latent_size", "1 to 4096")
        fit = len(self.widths) == 3 and min(self.widths) >= 1 and max(self.widths) <= 4096
        _refuse_unless(fit, self, "widths", "three numbers from 1 to 4096")
        _refuse_unless(self.beta >= 0, self, "beta", "a number ≥ 0")
        _refuse_unless(self.free_nats >= 0, self, "free_nats", "a number ≥ 0")
        if self.architecture == "glimpse":
            _refuse_unless(self.latent_size >= 3, self, "latent_size", "at least 3 for a glimpse, two of them a place")
        if self.architecture == "grid":
            _refuse_unless(self.latent_size % 64 == 0, self, "latent_size", "a multiple of 64 for a grid latent")


@dataclass(frozen=True)
class MDNRNNConfig:
    """Shape of the MDN-RNN (Ha & Schmidhuber 2018, appendix A.2)."""

    hidden_size: int = 256
    """Units of the LSTM."""
    head_size: int = 512
    """Units of the layers between the LSTM and the outputs, which see the present latent too; 0: none, as in
    the paper."""
    reads_change: bool = True
    """Whether M reads, beside the present latent, how it differs from the one before; hidden states then hold that and
    the action, after the LSTM's units, for the outputs and the controller."""
    mixtures: int = 3
    """Gaussians in a mixture."""
    joint: bool = True
    """One mixture over whole latents; otherwise one for every latent number, as in the paper."""
    anchor: Literal["gate", "present", "none"] = "gate"
    """What the means start from: a learned share of every number of the present latent; all of it, so that
    changes are predicted; or nothing, as in the paper."""
    ending_heads: int = 5
    """Small networks that say how a step ends from the present latent, its change and the action alone; their mean
    counts half, M's own word the other half. 0: none, as in the paper."""

    def __post_init__(self) -> None:
        _refuse_unless(1 <= self.hidden_size <= 8192, self, "hidden_size", "1 to 8192")
        readable = self.ending_heads == 0 or (1 <= self.ending_heads <= 64 and self.reads_change)
        _refuse_unless(readable, self, "ending_heads", "0 to 64, and 0 without --reads-change")
        _refuse_unless(0 <= self.head_size <= 8192, self, "head_size", "0 to 8192")
        _refuse_unless(1 <= self.mixtures <= 64, self, "mixtures", "1 to 64")


# -- stages --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LookaheadConfig:
    """How a world model's agent tries actions in its dream before it plays one of them."""

    lookahead: int = 0
    """Dreams in which a world model's agent tries what it intends before it does it, and the best of what else it
    could; 0: it plays what its controller chooses, as in the paper."""
    lookahead_steps: int = 20
    """Steps of these dreams, in which the controller plays on."""
    lookahead_holds: tuple[int, ...] = (1, 4, 8)
    """For how many of these steps an action is held before the controller plays on; each of these is tried."""
    lookahead_second: int = 6
    """Plans that are tried with every other action after them too, held for each of lookahead_holds that is more than a
    step: those that pay most in the first dreams; 0: none, a plan is one action."""
    lookahead_shortlist: int = 8
    """Plans that are tried in a third of these dreams: those that pay most in a ninth of them, and what is intended.
    The third of the list that then pays most is tried in all; 0: every plan in all."""
    lookahead_again: float = 0.05
    """Dreamt chance of dying above which what was found is not taken yet, and the agent searches again in three times
    these dreams; 1: never."""
    lookahead_doubt: float = 0.01
    """Dreamt chance of dying up to which the agent does what it intends and tries nothing else."""
    lookahead_progress: float | None = 24.0
    """Dreamt reward that this has to promise besides, or the agent tries what else it could: who stands before a pipe
    is safe there, and stays; as much as there are steps is a pixel a step. None: as little as it likes."""
    lookahead_still: int = 16
    """Steps in which nothing has moved after which the agent does not believe what a dream promises, and plays any plan
    by lot that is safe in it; 0: never."""
    lookahead_death_cost: float = 1200.0
    """What a death in them costs, in reward: enough to stop before a pit rather than jump it at one chance in ten."""
    lookahead_patience: int = 64
    """Steps without the screen moving on after which a death costs half as much, and half again after as many more: who
    waits for ever does not get there either; 0: always the same. Of a VAE that was taught landmarks alone."""
    lookahead_precision: PrecisionChoice = "auto"
    """What M's heads multiply in in these dreams; auto: bfloat16 on a CPU that has instructions for it (AMX or
    AVX512-BF16), which is some twice as fast, else float32."""

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.lookahead <= 4096, self, "lookahead", "0 to 4096 dreams")
        _refuse_unless(1 <= self.lookahead_steps <= 1000, self, "lookahead_steps", "1 to 1000 steps")
        holds = self.lookahead_holds
        _refuse_unless(holds != () and min(holds) >= 1, self, "lookahead_holds", "numbers of at least 1 step")
        _refuse_unless(self.lookahead_second >= 0, self, "lookahead_second", "0 or more plans")
        _refuse_unless(self.lookahead_shortlist >= 0, self, "lookahead_shortlist", "0 or more plans")
        _refuse_unless(0.0 <= self.lookahead_again <= 1.0, self, "lookahead_again", "a probability")
        _refuse_unless(0.0 <= self.lookahead_doubt <= 1.0, self, "lookahead_doubt", "a probability")
        known = self.lookahead_progress is None or math.isfinite(self.lookahead_progress)
        _refuse_unless(known, self, "lookahead_progress", "a number")
        _refuse_unless(self.lookahead_still >= 0, self, "lookahead_still", "0 or more steps")
        _refuse_unless(0.0 <= self.lookahead_death_cost < math.inf, self, "lookahead_death_cost", "a number ≥ 0")
        _refuse_unless(self.lookahead_patience >= 0, self, "lookahead_patience", "0 or more")


@dataclass(frozen=True)
class CollectConfig:
    """Play episodes and keep them as a data set.

    An output that ends in .pkl becomes one pickled file; any other path becomes a folder with one
    file per episode, read lazily. Finished episodes are safe at once, in <output>.partial, and the same
    command goes on from there.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    game: OmitArgPrefixes[GameConfig] = field(default_factory=GameConfig)
    screen: OmitArgPrefixes[MaskedHUD] = field(default_factory=MaskedHUD)
    episodes: int = 50
    """Episodes to play."""
    max_steps: int = 150
    """Most agent steps in an episode (the game clock allows 2,400 at frame skip 4)."""
    policy: str = "explore"
    """explore (to the right, actions held, from places that earlier episodes reached), biased (the same,
    from the start of the level), uniform, right, waiting (runs and stands in turn), or a trained agent: controller
    .pt, PPO .pt or .zip."""
    trust: bool = False
    """Read a stable-baselines3 .zip, part of which runs as code."""
    vae: Path | None = None
    """VAE of a controller given as --policy."""
    mdnrnn: Path | None = None
    """MDN-RNN of a controller given as --policy."""
    lookahead: OmitArgPrefixes[LookaheadConfig] = field(default_factory=LookaheadConfig)
    stray: float = 0.0
    """Chance that a controller's agent does something else for a while, an action held for one of --lookahead-holds: in
    any step, or with --lookahead where it would try what else it could, and then any of that. Of plans that a dream is
    wrong about only the game can tell."""
    elsewhere: float | None = None
    """Share of episodes that begin in places which earlier ones, of this data set, reached; default: 0.8 for explore,
    0 for others. The places are kept beside the data set, so that --append goes on from them with any policy."""
    output: DataSet = Path("data/mario_rollouts.pkl")
    """Data set to write: a .pkl, a folder, or the address of one in an object store, as s3://bucket/run/rollouts."""
    append: bool = False
    """Add to the data set at --output instead of replacing it."""
    workers: int = 0
    """Emulator processes; 0: one per core."""
    cluster: str | None = None
    """Run tasks on a Ray cluster instead: auto for the one that this machine is part of, or an address."""
    resume: bool = True
    """Go on with the interrupted collection of the same settings; --no-resume starts over."""
    seed: int = 0
    """Episode i depends on (seed, i) alone, whatever the number of workers."""

    def __post_init__(self) -> None:
        _refuse_unless(self.episodes >= 1, self, "episodes", "at least 1")
        _refuse_unless(self.max_steps >= 1, self, "max_steps", "at least 1")
        share = self.elsewhere is None or 0.0 <= self.elsewhere <= 1.0
        _refuse_unless(share, self, "elsewhere", "a share from 0 to 1")
        _refuse_unless(0.0 <= self.stray <= 1.0, self, "stray", "a probability")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed in TRAINING_SEEDS, self, "seed", "a training seed, 0 to 999999")


@dataclass(frozen=True)
class TrainVAEConfig:
    """Train the VAE on the frames of a data set, and on where the RAM says things are in them."""

    preset: PresetName = "default"
    """Set of defaults to start from."""
    dataset: DataSet = Path("data/mario_rollouts.pkl")
    """Data set from data_collection."""
    skip_damaged: bool = False
    """Leave out episodes that are damaged, each named; otherwise the first one ends the command."""
    output: Path = Path("checkpoints/vae_mario.pt")
    """Checkpoint to write."""
    model: OmitArgPrefixes[VAEConfig] = field(default_factory=VAEConfig)
    epochs: int = 50
    """Passes over the training frames."""
    max_minutes: float = 0.0
    """Stop after the update during which this much time has passed; 0: no limit."""
    batch_size: int = 64
    """Frames per update."""
    colour_rarity: float = 0.5
    """A pixel counts by p^-colour_rarity, p the share of its colour in the data, so that sprites count
    beside the sky; 0: every pixel alike."""
    landmark_weight: float = 2000.0
    """What landmarks count: nats for a squared distance of one tile between the first numbers of a latent and what
    the RAM says. The RAM is read in training alone."""
    learning_rate: float = 1e-3
    """Adam's step size; falls to a tenth along a cosine with --no-average."""
    average: bool = True
    """Give the mean of the weights along the training, the latest counting most, instead of the last ones."""
    init: Path | None = None
    """VAE checkpoint to start from instead of random weights."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else Apple MPS, else CPU."""
    precision: Precision = "float32"
    """What networks multiply in. bfloat16: half the bits where a GPU is then faster; weights, places, losses and Adam
    stay float32."""
    compile: bool = False
    """Have torch compile network and loss: a minute more at first, faster updates then; takes a C++ compiler."""
    logs: Path = Path("logs")
    """Folder for TensorBoard and JSON lines."""
    wandb: bool = False
    """Send the scalars to Weights & Biases too (`pip install wandb`); WANDB_MODE=offline needs no network."""
    save_every: float = 60.0
    """Seconds between saves of what an interrupted run goes on from; Ctrl-C and SIGTERM save as well."""
    resume: bool = True
    """Go on with the interrupted run of the same settings; --no-resume starts over."""
    seed: int = 0
    """Seed of weights, noise and batches."""

    def __post_init__(self) -> None:
        _check_training(self)
        _refuse_unless(self.colour_rarity >= 0, self, "colour_rarity", "a number ≥ 0")
        _refuse_unless(self.landmark_weight > 0, self, "landmark_weight", "a number > 0")


@dataclass(frozen=True)
class TrainMDNRNNConfig:
    """Train the MDN-RNN on the latents of a data set.

    The start states that dreams begin from are drawn from the data set and saved with the network.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    dataset: DataSet = Path("data/mario_rollouts.pkl")
    """Data set from data_collection."""
    skip_damaged: bool = False
    """Leave out episodes that are damaged, each named; otherwise the first one ends the command."""
    vae: Path = Path("checkpoints/vae_mario.pt")
    """VAE that turns its frames into latents."""
    output: Path = Path("checkpoints/mdn_rnn_mario.pt")
    """Checkpoint to write."""
    model: OmitArgPrefixes[MDNRNNConfig] = field(default_factory=MDNRNNConfig)
    epochs: int = 30
    """Passes over the training steps."""
    max_minutes: float = 0.0
    """Stop after the update during which this much time has passed; 0: no limit."""
    sequence_length: int = 32
    """Steps per training sequence; shorter episodes are padded and masked."""
    batch_size: int = 16
    """Sequences per update."""
    learning_rate: float = 1.5e-3
    """Adam's step size; falls to a tenth along a cosine with --no-average."""
    average: bool = True
    """Give the mean of the weights along the training, the latest counting most, instead of the last ones."""
    landmark_weight: float = 10.0
    """How much more than others the numbers of a latent count that V was taught: where things are decides what
    happens next, and they are a fifth of a latent."""
    beta_nll: float = 0.5
    """β of β-NLL (Seitzer et al. 2022): how much more numbers count that M knows little of yet than the likelihood has
    it. Else it learns last how Mario jumps (docs/log.md). 0: the likelihood, as in the paper."""
    reward_weight: float = 10.0
    """Weight of the squared error of the reward, in units of the largest reward of a frame (15)."""
    death_weight: float = 5.0
    """How much more a step that ends an episode counts in the loss than one that does not."""
    ending_weight: float = 5.0
    """Weight of the loss of the two endings, death and flag."""
    gradient_clip: float = 1.0
    """Largest norm of a gradient."""
    control: Literal["none", "untrained", "shuffled"] = "none"
    """A world model that should be worth less, to compare with. untrained: the LSTM keeps its random weights, the
    outputs alone learn; shuffled: every sequence is given the actions of another."""
    targets: Literal["blurred", "samples"] = "blurred"
    """blurred: M reads posterior means, and its likelihood allows for the posterior's width, so that it need
    not carry V's noise; samples: it reads and predicts samples, as in the paper."""
    input_noise: float = 0.3
    """Largest deviation of the Gaussian noise that is added to the latents M reads, in units of the deviation of what
    a number changes by in a step."""
    ending_epochs: int = 4
    """Passes over the training steps in which each of the --ending-heads is fitted, before all else; more are learnt by
    heart."""
    open_loop: int = 0
    """Most steps of a sequence that are run once more on M's own samples; 0: none."""
    open_loop_teaches: Literal["endings", "all"] = "endings"
    """What these steps teach. endings: rewards and endings as they look in a dream; all: latents too, which draws
    what M expects towards the mean of all that could be, and blurs Mario."""
    open_loop_weight: float = 1.0
    """Weight of the loss of these steps."""
    warmup: int = 8
    """Real steps that fill the memory before a dream begins."""
    starts: int = 1024
    """Start states saved for dreams."""
    newest: int = 0
    """Episodes, the latest of the data set, from which half of the start states come; 0: no preference."""
    init: Path | None = None
    """MDN-RNN checkpoint to start from instead of random weights; its VAE may have been trained on since."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else Apple MPS, else CPU."""
    precision: Precision = "float32"
    """What the layers behind the LSTM multiply in. bfloat16: half the bits where a GPU is then faster; weights, LSTM,
    densities and Adam stay float32."""
    compile: bool = False
    """Have torch compile what lies behind the LSTM, and the loss: a minute more at first, faster updates then; takes a
    C++ compiler."""
    logs: Path = Path("logs")
    """Folder for TensorBoard and JSON lines."""
    wandb: bool = False
    """Send the scalars to Weights & Biases too (`pip install wandb`); WANDB_MODE=offline needs no network."""
    save_every: float = 60.0
    """Seconds between saves of what an interrupted run goes on from; Ctrl-C and SIGTERM save as well."""
    resume: bool = True
    """Go on with the interrupted run of the same settings; --no-resume starts over."""
    seed: int = 0
    """Seed of weights, posterior samples and batches."""

    def __post_init__(self) -> None:
        _check_training(self)
        _refuse_unless(self.sequence_length >= 2, self, "sequence_length", "at least 2 steps")
        for name in ("death_weight", "landmark_weight", "gradient_clip"):
            _refuse_unless(getattr(self, name) > 0, self, name, "a number > 0")
        for name in ("reward_weight", "ending_weight", "open_loop_weight", "input_noise"):
            _refuse_unless(getattr(self, name) >= 0, self, name, "a number ≥ 0")
        _refuse_unless(0.0 <= self.beta_nll <= 1.0, self, "beta_nll", "0 to 1")
        _refuse_unless(self.ending_epochs >= 1, self, "ending_epochs", "at least 1")
        _refuse_unless(self.warmup >= 1, self, "warmup", "at least 1 step")
        _refuse_unless(self.starts >= 1, self, "starts", "at least 1")
        _refuse_unless(self.newest >= 0, self, "newest", "0 or more")


@dataclass(frozen=True)
class DreamConfig:
    """How a dream is dreamt."""

    temperature: float = 1.0
    """Scales the mixture's uncertainty (Ha & Schmidhuber 2018, section 4); 0: the likeliest path."""
    horizon: int = 24
    """Most steps of a dream."""
    dream_sticky: float = 0.25
    """Probability per dreamt step that the previous action is repeated."""
    level_starts: float = 0.1
    """Share of dreams that begin where an episode begins."""

    def __post_init__(self) -> None:
        _refuse_unless(0.0 <= self.temperature <= 10.0, self, "temperature", "0 to 10")
        _refuse_unless(self.horizon >= 1, self, "horizon", "at least 1 step")
        _refuse_unless(0.0 <= self.dream_sticky < 1.0, self, "dream_sticky", "a probability in [0, 1)")
        _refuse_unless(0.0 <= self.level_starts <= 1.0, self, "level_starts", "a share in [0, 1]")


@dataclass(frozen=True)
class TrainControllerConfig:
    """Evolve the controller with CMA-ES, by default in the dream alone."""

    preset: PresetName = "default"
    """Set of defaults to start from."""
    vae: Path = Path("checkpoints/vae_mario.pt")
    """VAE of the world model."""
    mdnrnn: Path = Path("checkpoints/mdn_rnn_mario.pt")
    """MDN-RNN of the world model."""
    output: Path = Path("checkpoints/controller_mario.pt")
    """Checkpoint to write."""
    dream: OmitArgPrefixes[DreamConfig] = field(default_factory=DreamConfig)
    fitness: Literal["dream", "real"] = "dream"
    """Score candidates in the dream, or in the real game."""
    iterations: int = 200
    """Generations of CMA-ES."""
    max_minutes: float = 0.0
    """Stop after the generation during which this much time has passed; 0: no limit."""
    population_size: int = 64
    """Candidates per generation."""
    starts_per_candidate: int = 32
    """Dreams (or real episodes) that a candidate's fitness is the mean of; shared by a generation."""
    sigma: float = 0.05
    """CMA-ES's first step size."""
    game: OmitArgPrefixes[PlayConfig] = field(default_factory=PlayConfig)
    max_steps: int = 2500
    """Most agent steps of a real episode (--fitness real)."""
    dream_parts: int = 1
    """Parts in which a generation is dreamt, each on one thread of a process of its own, here or on a cluster; 1: as a
    whole, in this process. Another number gives the same but for rounding."""
    dream_on: Literal["cores", "gpus"] = "cores"
    """Where these parts are dreamt: each on a core, or each on a GPU, of which every process has one to itself."""
    workers: int = 0
    """Processes for --fitness real and --dream-parts; 0: one per core."""
    cluster: str | None = None
    """Run tasks on a Ray cluster instead: auto for the one that this machine is part of, or an address."""
    death_cost: float = 200.0
    """What a dreamt death costs, in reward: a dream of a second and a half does not show how far Mario would have
    come had he lived."""
    logit_bound: float = 3.0
    """Actions are drawn from the softmax of the controller's outputs, none taken for more than twice this below the
    largest; 0: the largest output is taken."""
    sees: Literal["zh", "z", "landmarks"] = "zh"
    """What the controller is given: latent and memory; the latent alone, to see what the memory is worth; or landmarks,
    how they changed and the last action alone (of a VAE that was taught landmarks): a small search."""
    units: int = 0
    """Hidden units of the controller; 0: it is linear, as in the paper."""
    init: Path | None = None
    """Controller checkpoint to start from instead of zeros."""
    begin_in_danger: bool = True
    """With --init, dream from where that controller may die and Mario need not, half as often from where it hardly
    does, and not from where nothing saves him."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else Apple MPS, else CPU."""
    precision: PrecisionChoice = "auto"
    """What M's heads multiply in in dreams; auto: bfloat16 on a CPU that has instructions for it (AMX or AVX512-BF16),
    which is some twice as fast, else float32."""
    logs: Path = Path("logs")
    """Folder for TensorBoard and JSON lines."""
    wandb: bool = False
    """Send the scalars to Weights & Biases too (`pip install wandb`); WANDB_MODE=offline needs no network."""
    save_every: float = 60.0
    """Seconds between saves of what an interrupted run goes on from; Ctrl-C and SIGTERM save as well."""
    resume: bool = True
    """Go on with the interrupted run of the same settings; --no-resume starts over."""
    seed: int = 0
    """Seed of CMA-ES and of the dreams."""

    def __post_init__(self) -> None:
        _refuse_unless(self.iterations >= 1, self, "iterations", "at least 1")
        _refuse_unless(self.max_minutes >= 0, self, "max_minutes", "0 or more")
        _refuse_unless(self.population_size >= 4, self, "population_size", "at least 4")
        _refuse_unless(self.starts_per_candidate >= 1, self, "starts_per_candidate", "at least 1")
        _refuse_unless(self.dream_parts >= 1, self, "dream_parts", "at least 1")
        spread = self.dream_on == "cores" or self.dream_parts > 1
        _refuse_unless(spread, self, "dream_parts", "at least 2 for --dream-on gpus (--device is where one is dreamt)")
        _refuse_unless(self.sigma > 0, self, "sigma", "a number > 0")
        _refuse_unless(0 <= self.units <= 1024, self, "units", "0 to 1024")
        _refuse_unless(0.0 <= self.death_cost <= 1e4, self, "death_cost", "0 to 10000")
        _refuse_unless(0.0 <= self.logit_bound <= 100.0, self, "logit_bound", "0 to 100")
        _refuse_unless(self.max_steps >= 1, self, "max_steps", "at least 1")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed in TRAINING_SEEDS, self, "seed", "a training seed, 0 to 999999")


@dataclass(frozen=True)
class PPOConfig:
    """Train the model-free baseline: PPO (Schulman et al. 2017) from stable-baselines3.

    A short discount (γ 0.9) is what makes it learn Mario: jumps pay off within a second. The defaults are a recipe for
    one or two cores without a GPU: three passes over views of 64×64 pixels cost an eighth of ten over 84×84.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    game: OmitArgPrefixes[GameConfig] = field(default_factory=GameConfig)
    view: ViewConfig = field(default_factory=lambda: ViewConfig(grey=True, stack=4))
    timesteps: int = 1_000_000
    """Agent steps in all."""
    output: Path = Path("checkpoints/ppo_mario")
    """Checkpoint to write: <output>.pt, which runs nothing, and <output>.zip for stable-baselines3."""
    check_every: int = 50_000
    """Steps between checks, in which the present agent plays episodes of the validation seeds and is kept as
    <output>.<steps>.pt. The best of them becomes the output; 0: no checks, and the last agent does."""
    check_episodes: int = 10
    """Episodes of a check."""
    check_max_steps: int = 1000
    """Most agent steps of these; the flag of 1-1 takes about 450."""
    environments: int = 16
    """Games played side by side, each in a process of its own."""
    rollout_steps: int = 128
    """Steps per game between updates."""
    batch_size: int = 256
    """Steps per gradient step."""
    update_epochs: int = 3
    """Passes over a rollout."""
    reward_scale: float = 15.0
    """Rewards are divided by this before PPO sees them, so that the error of the value does not drown the policy's
    gradient in the layers that they share; 15 is the largest reward of a frame."""
    gamma: float = 0.9
    """Discount."""
    gae_lambda: float = 1.0
    """λ of generalised advantage estimation."""
    learning_rate: float = 2.5e-4
    """Adam's step size at the start; falls linearly to two thirds of it."""
    entropy: float = 0.01
    """Entropy bonus at the start; falls linearly to a hundredth of it."""
    clip: float = 0.15
    """PPO's clipping range."""
    workers: int = 0
    """Emulator processes of a check; 0: one per core."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else CPU."""
    logs: Path = Path("logs")
    """Folder for TensorBoard."""
    wandb: bool = False
    """Send the scalars to Weights & Biases too (`pip install wandb`); WANDB_MODE=offline needs no network."""
    save_every: float = 60.0
    """Seconds between saves of what an interrupted run goes on from; Ctrl-C and SIGTERM save as well."""
    resume: bool = True
    """Go on with the interrupted run of the same settings; --no-resume starts over."""
    seed: int = 0
    """Seed of weights, games and sampling."""

    def __post_init__(self) -> None:
        _refuse_unless(self.timesteps >= 1, self, "timesteps", "at least 1")
        _refuse_unless(self.check_every >= 0, self, "check_every", "0 or more")
        _refuse_unless(self.check_episodes >= 1, self, "check_episodes", "at least 1")
        _refuse_unless(self.check_max_steps >= 1, self, "check_max_steps", "at least 1")
        _refuse_unless(self.view.size >= 36, self.view, "size", "at least 36 pixels, which PPO's convolutions need")
        _refuse_unless(self.reward_scale > 0, self, "reward_scale", "a number > 0")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.environments >= 1, self, "environments", "at least 1")
        _refuse_unless(self.rollout_steps >= 2, self, "rollout_steps", "at least 2")
        _refuse_unless(self.batch_size >= 2, self, "batch_size", "at least 2")
        _refuse_unless(self.update_epochs >= 1, self, "update_epochs", "at least 1")
        _refuse_unless(0.0 <= self.gamma <= 1.0, self, "gamma", "a number in [0, 1]")
        _refuse_unless(0.0 <= self.gae_lambda <= 1.0, self, "gae_lambda", "a number in [0, 1]")
        _refuse_unless(self.learning_rate > 0, self, "learning_rate", "a number > 0")
        _refuse_unless(self.seed in TRAINING_SEEDS, self, "seed", "a training seed, 0 to 999999")


@dataclass(frozen=True)
class EvaluateConfig:
    """Play an agent in the real game and report its score.

    Give --vae, --mdnrnn and --controller, or --ppo, or --pretrained, or --policy for a reference agent.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    pretrained: bool = False
    """The world model and controller of 1-1 that come with the package."""
    vae: Path | None = None
    """VAE checkpoint."""
    mdnrnn: Path | None = None
    """MDN-RNN checkpoint."""
    controller: Path | None = None
    """Controller checkpoint."""
    ppo: Path | None = None
    """PPO checkpoint: a .pt, a .zip with --trust, or their path without the ending."""
    trust: bool = False
    """Read a stable-baselines3 .zip, part of which runs as code."""
    policy: str | None = None
    """Another agent: uniform, biased, right or waiting, which know nothing; replay: the actions of the furthest episode
    of --dataset; a .zip of stable-baselines3 with --trust; or your own code as module:function, from a screen uint8
    (224, 240, 3) to an action."""
    lookahead: OmitArgPrefixes[LookaheadConfig] = field(default_factory=LookaheadConfig)
    dataset: DataSet | None = None
    """Data set whose furthest episode from the start of the level --policy replay plays again."""
    protocol: ProtocolName | None = None
    """Conditions by name, the same for every agent; sets --sticky and --noops, and takes test seeds alone. sticky: the
    headline; deterministic; noops; start-states: from places spread over the level."""
    name: str | None = None
    """How tables call the agent; default: what it is."""
    training_seed: int | None = None
    """Seed that it was trained with; default: what its checkpoint says. Agents of one name and several training seeds
    are one method."""
    training_steps: int | None = None
    """Agent steps of the real game that its training took; default: what its checkpoint says."""
    core_hours: float | None = None
    """Hours that its training took, times the cores in use; default: what is noted beside its files."""
    game: OmitArgPrefixes[PlayConfig] = field(default_factory=PlayConfig)
    episodes: int = 10
    """Episodes to play."""
    max_steps: int = 2500
    """Most agent steps in an episode (the game clock allows 2,400 at frame skip 4)."""
    render: bool = False
    """Watch it: a window where there is a display, otherwise an MP4."""
    video: Path | None = None
    """Write the first episode to this MP4."""
    output: Path | None = None
    """Write every episode's figures to this JSON file, for `mario-world-model report`. Those of finished episodes are
    safe at once, in <output>.partial, and the same command goes on from there, to more --episodes if asked."""
    workers: int = 0
    """Emulator processes; 0: one per core."""
    cluster: str | None = None
    """Run tasks on a Ray cluster instead: auto for the one that this machine is part of, or an address."""
    resume: bool = True
    """Go on with the interrupted evaluation of the same settings; --no-resume starts over."""
    seed: int = 1_000_000
    """Episode i depends on (seed, i) alone. 1,000,000 to 1,999,999 are test seeds, which nothing is trained on or
    chosen by."""

    def __post_init__(self) -> None:
        _refuse_unless(self.episodes >= 1, self, "episodes", "at least 1")
        _refuse_unless(self.max_steps >= 1, self, "max_steps", "at least 1")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed >= 0, self, "seed", "0 or more")


@dataclass(frozen=True)
class ReportConfig:
    """Write the comparison of agents: one HTML file that needs nothing else, the same as Markdown, CSV and JSON.

    Takes outputs of evaluate and probe and logs of training, or folders with any of them.
    """

    runs: Positional[tuple[Path, ...]] = ()
    """Files, or folders that are searched for them."""
    preset: PresetName = "default"
    """Set of defaults to start from."""
    output: Path = Path("report")
    """Folder for report.html, report.md, report.json, figures and tables."""
    title: str = "World model and PPO on Super Mario Bros"
    """Heading of the report."""
    into: Path | None = None
    """A Markdown file whose part between <!-- report --> and <!-- /report --> is replaced by findings and tables."""
    pretrained: bool = False
    """Show the dream of the world model that comes with the package."""
    vae: Path | None = None
    """VAE of the world model whose dream to show."""
    mdnrnn: Path | None = None
    """MDN-RNN of it."""
    dataset: DataSet | None = None
    """Data set with the episode to show beside its dream."""
    console: OmitArgPrefixes[ConsoleConfig] = field(default_factory=ConsoleConfig)


@dataclass(frozen=True)
class ProbeConfig:
    """Ask a world model what it knows and how far its dreams can be believed.

    Truth read off latents, deaths foreseen, drift of dreams and, with --controller, dreamt against
    real returns; on the held-out episodes of --dataset, or on those of --own.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    vae: Path = Path("checkpoints/vae_mario.pt")
    """VAE of the world model."""
    mdnrnn: Path = Path("checkpoints/mdn_rnn_mario.pt")
    """MDN-RNN of the world model."""
    dataset: DataSet = Path("data/mario_rollouts.pkl")
    """Data set it was trained on."""
    skip_damaged: bool = False
    """Leave out episodes that are damaged, each named; otherwise the first one ends the command."""
    own: DataSet | None = None
    """Data set nothing was trained on, such as episodes of the present controller, to judge by instead; with
    --controller it has to be what that one played."""
    controller: Path | None = None
    """Controller whose evolution is followed in dream and game."""
    earlier: tuple[Path, ...] = ()
    """Controllers of the rounds before, the first one first, whose evolutions led up to its own."""
    dream: OmitArgPrefixes[DreamConfig] = field(default_factory=DreamConfig)
    game: OmitArgPrefixes[PlayConfig] = field(default_factory=PlayConfig)
    dreams: int = 256
    """Dreams for each controller."""
    episodes: int = 4
    """Real episodes for each controller."""
    max_steps: int = 300
    """Most agent steps of these."""
    output: Path = Path("logs/probe.json")
    """Where every figure goes."""
    workers: int = 0
    """Emulator processes; 0: one per core."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else Apple MPS, else CPU."""
    seed: int = 2_000_000
    """Seed of dreams, readers and episodes; far from those of training and evaluation."""

    def __post_init__(self) -> None:
        for name in ("dreams", "episodes", "max_steps"):
            _refuse_unless(getattr(self, name) >= 1, self, name, "at least 1")
        needless = self.earlier != () and self.controller is None
        _refuse_unless(not needless, self, "earlier", "a --controller that came after these")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed >= 0, self, "seed", "0 or more")

    @property
    def temperature(self) -> float:
        """At which dreams are sampled beside the likeliest path."""
        return self.dream.temperature


@dataclass(frozen=True)
class CheckSearchConfig:
    """Play the plans that a search in the dream chooses, and see how often they kill.

    From places spread over 1-1 the controller plays, at times astray. Where, after some steps drawn by lot, what it
    intends may first kill, a plan is searched for, and that is dreamt anew and played in the game, the controller
    playing on after it; --lookahead-progress and --lookahead-still play no part. Give --vae, --mdnrnn and
    --controller, or --pretrained.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    pretrained: bool = False
    """The world model and controller of 1-1 that come with the package."""
    vae: Path | None = None
    """VAE checkpoint."""
    mdnrnn: Path | None = None
    """MDN-RNN checkpoint."""
    controller: Path | None = None
    """Controller checkpoint."""
    lookahead: OmitArgPrefixes[LookaheadConfig] = field(default_factory=lambda: LookaheadConfig(lookahead=36))
    game: OmitArgPrefixes[PlayConfig] = field(default_factory=PlayConfig)
    episodes: int = 200
    """Episodes, each of which has one such situation or none."""
    tries: int = 8
    """Times that a plan is played, each under other luck."""
    output: Path = Path("logs/check_search.json")
    """Where every plan's figures go. Those of finished episodes are safe at once, in <output>.partial, and the same
    command goes on from there."""
    workers: int = 0
    """Emulator processes; 0: one per core."""
    resume: bool = True
    """Go on with the interrupted check of the same settings; --no-resume starts over."""
    seed: int = 2_000_000
    """Episode i depends on (seed, i) alone; far from the seeds of training and evaluation."""

    def __post_init__(self) -> None:
        _refuse_unless(self.lookahead.lookahead >= 1, self, "lookahead", "at least 1 dream to search in")
        for name in ("episodes", "tries"):
            _refuse_unless(getattr(self, name) >= 1, self, name, "at least 1")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed >= 0, self, "seed", "0 or more")


@dataclass(frozen=True)
class ShipConfig:
    """Make the small files of a trained agent that are fit to be given away."""

    preset: PresetName = "default"
    """Set of defaults to start from."""
    vae: Path = Path("run/vae_mario.pt")
    """VAE of the agent."""
    mdnrnn: Path = Path("run/mdn_rnn_mario.pt")
    """MDN-RNN of the agent."""
    controller: Path = Path("run/controller_mario.pt")
    """Controller of the agent."""
    starts: int = 512
    """Start states of dreams to keep."""
    output: Path = Path("shipped")
    """Folder for the three files."""

    def __post_init__(self) -> None:
        _refuse_unless(self.starts >= 1, self, "starts", "at least 1")


@dataclass(frozen=True)
class DreamVideoConfig:
    """Watch a controller dream, or the game beside its dream.

    Without --dataset the controller plays in the dream and nothing is real. With it, an episode is
    shown three ways: the game, V's reconstruction, and a dream that is fed the same actions; beside them
    stands how far the last two differ.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    pretrained: bool = False
    """The world model and controller that come with the package."""
    vae: Path = Path("checkpoints/vae_mario.pt")
    """VAE checkpoint."""
    mdnrnn: Path = Path("checkpoints/mdn_rnn_mario.pt")
    """MDN-RNN checkpoint."""
    controller: Path = Path("checkpoints/controller_mario.pt")
    """Controller checkpoint; not needed with --dataset."""
    dataset: DataSet | None = None
    """Data set with the episode to show beside its dream."""
    episode: int | None = None
    """Which one, counted from 0; default: the held-out one that got furthest."""
    first: int = 8
    """Step of that episode at which the dream begins."""
    steps: int = 150
    """Most steps to show, 15 a second."""
    temperature: float = 1.0
    """Of the dream; 0: the likeliest path."""
    video: Path = Path("dream.mp4")
    """MP4 to write."""
    seed: int = 0
    """Of what is drawn in the dream."""

    def __post_init__(self) -> None:
        _refuse_unless(0.0 <= self.temperature <= 10.0, self, "temperature", "0 to 10")
        for name in ("first", "seed"):
            _refuse_unless(getattr(self, name) >= 0, self, name, "0 or more")
        _refuse_unless(self.episode is None or self.episode >= 0, self, "episode", "0 or more")
        _refuse_unless(self.steps >= 1, self, "steps", "at least 1")


@dataclass(frozen=True)
class PlaygroundConfig:
    """Play the real game beside its dream, in a browser.

    Without --vae, --mdnrnn and --controller it is the agent that comes with the package.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    vae: Path | None = None
    """VAE checkpoint."""
    mdnrnn: Path | None = None
    """MDN-RNN checkpoint."""
    controller: Path | None = None
    """Controller checkpoint."""
    ppo: Path | None = None
    """PPO checkpoint, to let it play too."""
    dataset: DataSet | None = None
    """Data set in whose frames one may begin."""
    keep: Path = Path("data/demonstrations")
    """Data set (a folder) to which "keep" adds what was played."""
    console: OmitArgPrefixes[ConsoleConfig] = field(default_factory=ConsoleConfig)
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets a phone in the same network in."""
    port: int = 8585
    """Port to listen on; 0: any that is free."""
    sessions: int = 4
    """Most people at once; each takes a process with an emulator."""
    idle_minutes: float = 10.0
    """A session is closed after this long without a word from its player."""

    def __post_init__(self) -> None:
        _refuse_unless(0 <= self.port <= 65535, self, "port", "0 to 65535")
        _refuse_unless(1 <= self.sessions <= 64, self, "sessions", "1 to 64")
        _refuse_unless(self.idle_minutes > 0, self, "idle_minutes", "a number > 0")


@dataclass(frozen=True)
class ExportWebConfig:
    """Write a folder that dreams in the visitor's browser, without a server and without the game.

    Without --vae, --mdnrnn and --controller it is the agent that comes with the package. It needs
    onnx and onnxscript (`pip install onnx onnxscript`), and npm for the runtime.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    vae: Path | None = None
    """VAE checkpoint."""
    mdnrnn: Path | None = None
    """MDN-RNN checkpoint."""
    controller: Path | None = None
    """Controller checkpoint."""
    runtime: Path | None = None
    """An onnxruntime-web package that is here already: its .tgz; default: npm brings it."""
    output: Path = Path("site")
    """Folder to write."""


@dataclass(frozen=True)
class RunConfig:
    """Run the whole pipeline: collect, train all three parts, evaluate, and show the result.

    V is trained once, on episodes that explore the level. Every round trains M on over all data, evolves
    C on in its dream, and adds episodes of the new controller to the data set, but for the last round, whose M and C
    are those of the run. What is not set here the stages take from the preset; run them one by one to change it.
    """

    preset: PresetName = "default"
    """Set of defaults to start from."""
    output: Path = Path("run")
    """Folder for the data set, the checkpoints, the logs, the videos and the summary."""
    wandb: bool = False
    """Send the scalars to Weights & Biases too (`pip install wandb`); WANDB_MODE=offline needs no network."""
    game: OmitArgPrefixes[GameConfig] = field(default_factory=GameConfig)
    stages: str = ""
    """Stages to run instead of --env, each into a folder below --output: all, or a list such as 1-1,1-2. With --cluster
    every one of them runs on one node."""
    episodes: int = 2000
    """Episodes of exploration to begin with."""
    vae_epochs: int = 8
    """Passes over their frames."""
    mdn_rnn_epochs: int = 40
    """Passes of M over all steps in the first round."""
    generations: int = 300
    """Generations of CMA-ES in a round."""
    sees: Literal["zh", "z", "landmarks"] = "landmarks"
    """What the controller is given: landmarks, how they changed and the last action, a small search; or [z, h]."""
    units: int = 12
    """Hidden units of the controller; 0: it is linear, as in the paper."""
    sigma: float = 0.1
    """CMA-ES's first step size."""
    population_size: int = 96
    """Candidates in a generation."""
    starts_per_candidate: int = 48
    """Dreams of each of them."""
    dream_parts: int = 1
    """Parts in which a generation is dreamt, each on one thread of a process of its own, here or on a cluster; 1: as a
    whole, in this process. Another number gives the same but for rounding."""
    dream_on: Literal["cores", "gpus"] = "cores"
    """Where these parts are dreamt: each on a core, or each on a GPU, of which every process has one to itself."""
    rounds: int = 12
    """Most times to train M, evolve C and collect with it."""
    round_episodes: int = 160
    """Episodes that the controller of every round but the last adds to the data set."""
    round_episodes_alone: int = 0
    """Episodes of it besides in which it does not look ahead, where --lookahead is set: they take a twentieth of the
    time, and show M how a controller fails that plays on in dreams."""
    round_max_steps: int = 300
    """Most steps of these; one that stands before a pipe has nothing new to show for longer."""
    round_elsewhere: float = 0.5
    """Share of these that begin in places which earlier episodes reached, all over the level; the others, from its
    start, say how good the controller is."""
    lookahead: OmitArgPrefixes[LookaheadConfig] = field(default_factory=LookaheadConfig)
    """How the controllers of rounds, and the agent in the end, look ahead while they play."""
    round_stray: float = 0.0
    """--stray of the episodes of rounds, in which agents then get less far than in the end."""
    round_stray_alone: float = 0.0
    """--stray of those of --round-episodes-alone."""
    round_share: float = 0.25
    """Epochs and minutes of M in a later round, as a share of the first round's."""
    last_share: float = 0.0
    """The same in the last round, whose M is that of the run; 0: as in the rounds before. Every round begins with large
    steps again."""
    time_factor: float = 1.0
    """Factor of the minutes that V, M and C are trained for where the preset sets any: a machine that is half as fast
    makes as many updates in twice the time."""
    round_rate: float = 1.0
    """Learning rate of M in a later round, as a share of the first round's. Steps as large as an untrained M's undo
    first much of what it knows; with 0.3 its loss got lower in a round, but its dreams no better (docs/log.md)."""
    stop_at_flags: float = 0.95
    """Stop after a round whose episodes reach the flag this often."""
    workers: int = 0
    """Emulator processes; 0: one per core."""
    cluster: str | None = None
    """Run tasks on a Ray cluster instead: auto for the one that this machine is part of, or an address."""
    device: DeviceChoice = "auto"
    """auto: CUDA, else Apple MPS, else CPU."""
    precision: PrecisionChoice = "auto"
    """What V and M multiply in while they are trained, and M while C is evolved in it; auto: bfloat16 on a CPU that has
    instructions for it (AMX or AVX512-BF16), which makes twice the updates a minute in it, else float32."""
    resume: bool = True
    """Go on with the interrupted run of the same settings; --no-resume starts over."""
    seed: int = 0
    """Seed of every stage; evaluation starts a million further on."""

    def __post_init__(self) -> None:
        for name in ("vae_epochs", "mdn_rnn_epochs", "generations", "rounds", "round_episodes", "round_max_steps"):
            _refuse_unless(getattr(self, name) >= 1, self, name, "at least 1")
        _refuse_unless(self.round_episodes_alone >= 0, self, "round_episodes_alone", "0 or more")
        _refuse_unless(self.population_size >= 4, self, "population_size", "at least 4")
        _refuse_unless(self.starts_per_candidate >= 1, self, "starts_per_candidate", "at least 1")
        _refuse_unless(self.dream_parts >= 1, self, "dream_parts", "at least 1")
        spread = self.dream_on == "cores" or self.dream_parts > 1
        _refuse_unless(spread, self, "dream_parts", "at least 2 for --dream-on gpus (--device is where one is dreamt)")
        _refuse_unless(self.sigma > 0, self, "sigma", "a number > 0")
        _refuse_unless(0 <= self.units <= 1024, self, "units", "0 to 1024")
        _refuse_unless(0.0 <= self.round_elsewhere < 1.0, self, "round_elsewhere", "a share in [0, 1)")
        _refuse_unless(self.episodes >= 2, self, "episodes", "at least 2, one of them to hold out")
        _refuse_unless(0.0 <= self.round_stray <= 1.0, self, "round_stray", "a probability")
        _refuse_unless(0.0 <= self.round_stray_alone <= 1.0, self, "round_stray_alone", "a probability")
        _refuse_unless(0.0 < self.round_share <= 1.0, self, "round_share", "a share in (0, 1]")
        _refuse_unless(0.0 <= self.last_share <= 100.0, self, "last_share", "0 to 100 times the first round's")
        _refuse_unless(0.0 < self.time_factor <= 1000.0, self, "time_factor", "a number from above 0 to 1000")
        _refuse_unless(0.0 < self.round_rate <= 1.0, self, "round_rate", "a share in (0, 1]")
        _refuse_unless(0.0 < self.stop_at_flags <= 1.0, self, "stop_at_flags", "a share in (0, 1]")
        _refuse_unless(self.workers >= 0, self, "workers", "0 or more")
        _refuse_unless(self.seed in TRAINING_SEEDS, self, "seed", "a training seed, 0 to 999999")

    @property
    def episodes_of_round(self) -> int:
        """That a round adds to the data set."""
        return self.round_episodes + self.round_episodes_alone

    def is_last(self, number: int) -> bool:
        """Whether no round can follow that one, counted from 0."""
        return number + 1 == self.rounds


def _check_training(config: TrainVAEConfig | TrainMDNRNNConfig) -> None:
    _refuse_unless(config.epochs >= 1, config, "epochs", "at least 1")
    _refuse_unless(config.max_minutes >= 0, config, "max_minutes", "0 or more")
    _refuse_unless(config.batch_size >= 1, config, "batch_size", "at least 1")
    _refuse_unless(config.learning_rate > 0, config, "learning_rate", "a number > 0")
    _refuse_unless(config.seed in TRAINING_SEEDS, config, "seed", "a training seed, 0 to 999999")


# -- presets: what differs from the defaults above -----------------------------------------------

Overrides = dict[str, Any]

PRESETS: dict[PresetName, dict[type, Overrides]] = {
    "default": {},
    # A world model of 1-1 in about ten minutes on two cores.
    "demo": {
        # In so few minutes the LSTM leaves deaths to them, and half of what they say is no warning (docs/log.md).
        MDNRNNConfig: {"ending_heads": 0},
        TrainVAEConfig: {"max_minutes": 2.2, "batch_size": 32, "learning_rate": 2e-3},
        TrainMDNRNNConfig: {"max_minutes": 2.6},
        TrainControllerConfig: {"max_minutes": 0.9},
        EvaluateConfig: {"episodes": 20, "max_steps": 600},
        RunConfig: {
            "output": Path("demo"),
            "episodes": 450,
            "vae_epochs": 1000,
            "mdn_rnn_epochs": 1000,
            "generations": 10_000,
            "units": 0,
            "starts_per_candidate": 16,
            "rounds": 2,
            "round_episodes": 40,
            "round_max_steps": 250,
            "round_share": 0.4,
        },
    },
    # An hour and a half of two cores, without AVX-512 too: there a larger M makes too few updates in it, and takes
    # twice as long to look ahead.
    "cores": {
        TrainVAEConfig: {"max_minutes": 12.0, "batch_size": 32, "learning_rate": 1.5e-3},
        MDNRNNConfig: {"hidden_size": 256, "head_size": 512},
        TrainMDNRNNConfig: {"max_minutes": 14.0, "batch_size": 32, "learning_rate": 1e-3},
        TrainControllerConfig: {"max_minutes": 3.0},
        EvaluateConfig: {"episodes": 10, "max_steps": 600},
        RunConfig: {
            "output": Path("cores"),
            "episodes": 4000,
            "vae_epochs": 1000,
            "mdn_rnn_epochs": 1000,
            "generations": 10_000,
            "starts_per_candidate": 16,
            "dream_parts": 2,
            "rounds": 3,
            "lookahead": LookaheadConfig(
                lookahead=12, lookahead_second=0, lookahead_death_cost=600.0, lookahead_again=1.0, lookahead_still=0
            ),
            "round_episodes": 6,
            "round_episodes_alone": 250,
            "round_max_steps": 250,
            "round_share": 0.5,
            "last_share": 1.0,
        },
    },
    # Twenty minutes of a large GPU and sixteen cores: times, since another one does more in them.
    "gpu": {
        TrainVAEConfig: {"max_minutes": 1.2, "batch_size": 256, "learning_rate": 2e-3},
        MDNRNNConfig: {"hidden_size": 384, "head_size": 768},
        TrainMDNRNNConfig: {"max_minutes": 0.75, "batch_size": 64, "learning_rate": 1.2e-3},
        TrainControllerConfig: {"max_minutes": 0.5},
        EvaluateConfig: {"episodes": 100, "max_steps": 1000},
        RunConfig: {
            "output": Path("gpu"),
            "episodes": 2400,
            "vae_epochs": 1000,
            "mdn_rnn_epochs": 1000,
            "generations": 10_000,
            "population_size": 256,
            "starts_per_candidate": 64,
            "rounds": 16,
            "round_episodes": 200,
            "round_max_steps": 250,
            "round_share": 0.3,
        },
    },
    # The networks of Ha & Schmidhuber (2018); data and game stay ours.
    "paper": {
        VAEConfig: {
            "latent_size": 32,
            "architecture": "paper",
            "landmarks": False,
            "likelihood": "squared_error",
            "free_nats": 0.5,
        },
        TrainVAEConfig: {
            "epochs": 10,
            "batch_size": 100,
            "learning_rate": 1e-4,
            "average": False,
            "colour_rarity": 0.0,
        },
        MDNRNNConfig: {
            "head_size": 0,
            "reads_change": False,
            "mixtures": 5,
            "joint": False,
            "anchor": "none",
            "ending_heads": 0,
        },
        TrainMDNRNNConfig: {
            "epochs": 20,
            "sequence_length": 100,
            "batch_size": 100,
            "learning_rate": 1e-3,
            "average": False,
            "beta_nll": 0.0,
            "death_weight": 1.0,
            "ending_weight": 1.0,
            "reward_weight": 1.0,
            "targets": "samples",
            "input_noise": 0.0,
            "open_loop": 0,
        },
        DreamConfig: {"horizon": 1000, "level_starts": 1.0},
        TrainControllerConfig: {"iterations": 1800, "starts_per_candidate": 16, "logit_bound": 0.0, "death_cost": 0.0},
        RunConfig: {
            "generations": 1800,
            "rounds": 6,
            "sees": "zh",
            "units": 0,
            "sigma": 0.05,
            "population_size": 64,
            "starts_per_candidate": 16,
        },
    },
    # Seconds, not results: to see that everything runs.
    "debug": {
        CollectConfig: {"episodes": 4, "max_steps": 40},
        VAEConfig: {"latent_size": 64, "widths": (4, 8, 16)},
        TrainVAEConfig: {"epochs": 1, "batch_size": 32},
        MDNRNNConfig: {"hidden_size": 16, "head_size": 16, "mixtures": 2, "ending_heads": 1},
        TrainMDNRNNConfig: {"epochs": 2, "sequence_length": 16, "batch_size": 4, "starts": 16},
        DreamConfig: {"horizon": 8},
        TrainControllerConfig: {"iterations": 2, "population_size": 4, "starts_per_candidate": 2},
        PPOConfig: {
            "timesteps": 64,
            "check_every": 128,
            "check_episodes": 2,
            "check_max_steps": 40,
            "environments": 1,
            "rollout_steps": 32,
            "batch_size": 16,
            "update_epochs": 1,
        },
        EvaluateConfig: {"episodes": 2, "max_steps": 40},
        RunConfig: {
            "episodes": 4,
            "vae_epochs": 1,
            "mdn_rnn_epochs": 2,
            "generations": 2,
            "population_size": 4,
            "starts_per_candidate": 2,
            "rounds": 2,
            "round_episodes": 2,
            "round_max_steps": 40,
        },
    },
}

Config = TypeVar("Config")


def preset_config(config_class: type[Config], preset: PresetName) -> Config:
    """The defaults of a stage under a preset, nested configurations included."""
    return _with_preset(config_class(), preset)


def _with_preset(config: Config, preset: PresetName) -> Config:
    changes: Overrides = dict(PRESETS[preset].get(type(config), {}))
    for item in dataclasses.fields(config):  # type: ignore[arg-type]
        value = changes.get(item.name, getattr(config, item.name))
        if item.name == "preset":
            changes["preset"] = preset
        elif dataclasses.is_dataclass(value):
            changes[item.name] = _with_preset(value, preset)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def to_plain(config: object) -> Any:
    """A configuration as dicts, lists, strings and numbers, for JSON and for checkpoints."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {item.name: to_plain(getattr(config, item.name)) for item in dataclasses.fields(config)}
    if isinstance(config, (list, tuple)):
        return [to_plain(value) for value in config]
    return str(config) if isinstance(config, Location) else config


def from_plain(config_class: type[Config], plain: Any, where: str) -> Config:
    """Rebuild a flat configuration (an architecture, a game, a view) written by `to_plain`.

    Raises InputError when a field is unknown or its value has the wrong type; `where` names the file.
    """
    if not isinstance(plain, dict):
        raise InputError(f"{where}: expected the fields of {config_class.__name__}, found {reprlib.repr(plain)}")
    defaults = config_class()
    types = get_type_hints(config_class)
    values: Overrides = {}
    for name, value in plain.items():
        default = getattr(defaults, name, None) if isinstance(name, str) else None
        if name not in types:
            raise InputError(f"{where}: {config_class.__name__} has no field {reprlib.repr(name)}")
        if isinstance(default, tuple) and isinstance(value, list):
            value = tuple(value)
        elif isinstance(default, float) and isinstance(value, int):
            value = float(value)
        if default is not None and not _alike(value, default):
            raise InputError(
                f"{where}: {config_class.__name__}.{name}: expected {type(default).__name__}, "
                f"found {reprlib.repr(value)}"
            )
        if get_origin(types[name]) is Literal and value not in get_args(types[name]):
            raise InputError(
                f"{where}: {config_class.__name__}.{name}: expected one of {get_args(types[name])}, "
                f"found {reprlib.repr(value)}"
            )
        values[name] = value
    return config_class(**values)


def _alike(value: Any, default: Any) -> bool:
    """Whether a value that was read can stand where a default stands: of its type, and a finite number if it is one."""
    if type(value) is not type(default):
        return False
    if isinstance(default, tuple):
        return all(type(one) is type(default[0]) for one in value)
    return not isinstance(value, float) or math.isfinite(value)
