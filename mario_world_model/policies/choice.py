"""Name a policy in plain values, so that a worker process can build it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mario_world_model.checkpoints import load_agent
from mario_world_model.config import ActionSet, GameConfig, LookaheadConfig
from mario_world_model.errors import InputError
from mario_world_model.lookahead import LookaheadAgent
from mario_world_model.models.agent import Agent
from mario_world_model.policies.callable import callable_controls, callable_policy
from mario_world_model.policies.policy import Policy
from mario_world_model.policies.reference import BiasedPolicy, RightPolicy, UniformPolicy, WaitingPolicy
from mario_world_model.policies.replay import Recording, ReplayPolicy
from mario_world_model.policies.world_model import WorldModelPolicy
from mario_world_model.stray import StrayingAgent
from mario_world_model.utils.checkpoint import kind_of

EXPLORE = "explore"

REFERENCE: dict[str, Callable[[ActionSet], Policy]] = {
    "uniform": UniformPolicy,
    "biased": BiasedPolicy,
    "right": RightPolicy,
    "waiting": WaitingPolicy,
    # The same hands; that its episodes begin in places reached before is the collection's part.
    EXPLORE: BiasedPolicy,
}


@dataclass(frozen=True)
class PolicyChoice:
    """Who plays: a reference policy by name, recorded actions, stable-baselines3, your code, or V, M and C."""

    reference: str | None = None
    ppo: Path | None = None
    vae: Path | None = None
    mdnrnn: Path | None = None
    controller: Path | None = None
    replay: Recording | None = None
    archive: Path | None = None
    """A .zip of stable-baselines3, of any of its algorithms."""
    code: str | None = None
    """module:function."""
    trust: bool = False
    """Whether a stable-baselines3 archive may run its code."""
    lookahead: LookaheadConfig = field(default_factory=LookaheadConfig)
    """How V, M and C look ahead."""
    stray: float = 0.0
    """Chance that they do something else for a while, which they have not tried."""

    def __post_init__(self) -> None:
        if self.lookahead.lookahead and self.controller is None:
            raise InputError(
                f"--lookahead: expected 0, or the controller of a world model to dream with, found "
                f"{self.lookahead.lookahead} for {self.name}"
            )
        if self.stray and self.controller is None:
            raise InputError(
                f"--stray: expected 0, or the controller of a world model, found {self.stray} for {self.name}"
            )

    @property
    def explores(self) -> bool:
        """Whether its episodes begin where earlier ones have been (`rollouts.archive`)."""
        return self.reference == EXPLORE

    @property
    def name(self) -> str:
        """How episodes and tables call it."""
        if self.reference:
            return self.reference
        if self.replay is not None:
            return "replay"
        if self.code is not None:
            return self.code
        if self.archive is not None:
            return self.archive.stem
        if self.ppo:
            return "ppo"
        looking = ", looking ahead" if self.lookahead.lookahead else ""
        return f"world model{looking}{', astray at times' if self.stray else ''}"


def choose_policy(
    text: str, vae: Path | None, mdnrnn: Path | None, trust: bool, lookahead: LookaheadConfig, stray: float = 0.0
) -> PolicyChoice:
    """The choice behind a --policy flag: a name, a PPO .pt or .zip, or a controller .pt with its V and M."""
    if text in REFERENCE:
        return PolicyChoice(reference=text, lookahead=lookahead, stray=stray)
    if text.endswith(".zip"):
        return PolicyChoice(archive=Path(text), trust=trust, lookahead=lookahead, stray=stray)
    if ":" in text and not text.endswith(".pt"):
        return PolicyChoice(code=text, lookahead=lookahead, stray=stray)
    if text.endswith(".pt") and kind_of(Path(text)) == "ppo":
        return PolicyChoice(ppo=Path(text), trust=trust, lookahead=lookahead, stray=stray)
    if not text.endswith(".pt"):
        raise InputError(
            f"--policy: expected {', '.join(REFERENCE)}, a .zip or a .pt file, or module:function, found {text!r}"
        )
    if vae is None or mdnrnn is None:
        raise InputError(f"--policy {text}: expected --vae and --mdnrnn beside a controller, found them missing")
    return PolicyChoice(vae=vae, mdnrnn=mdnrnn, controller=Path(text), lookahead=lookahead, stray=stray)


def controls_of(choice: PolicyChoice, fallback: GameConfig) -> tuple[ActionSet, int]:
    """Action set and frame skip a policy plays with; a reference policy takes any.

    Reads the files of a trained one, so that a mistake shows before any worker starts.
    """
    if choice.reference:
        return fallback.actions, fallback.frame_skip
    if choice.replay is not None:
        return choice.replay.actions, choice.replay.frame_skip
    if choice.code is not None:
        return callable_controls(choice.code)
    if choice.archive is not None:
        from mario_world_model.policies.ppo import load_stable_baselines

        controls = load_stable_baselines(choice.archive, choice.trust).controls
    elif choice.ppo:
        from mario_world_model.policies.ppo import load_ppo

        controls = load_ppo(choice.ppo, choice.trust).controls
    else:
        controls = agent_of(choice).world_model.controls
    return controls.actions, controls.frame_skip


def build_policy(choice: PolicyChoice, actions: ActionSet) -> Policy:
    """The policy itself; a world model is read once per process."""
    if choice.reference:
        return REFERENCE[choice.reference](actions)
    if choice.replay is not None:
        return ReplayPolicy(choice.replay)
    if choice.code is not None:
        return callable_policy(choice.code)
    if choice.archive is not None:
        from mario_world_model.policies.ppo import load_stable_baselines

        return load_stable_baselines(choice.archive, choice.trust)
    if choice.ppo:
        # Imported here: stable-baselines3 takes a second that no other policy needs.
        from mario_world_model.policies.ppo import load_ppo

        return load_ppo(choice.ppo, choice.trust)
    agent = agent_of(choice)
    if choice.lookahead.lookahead:
        agent = LookaheadAgent(agent.world_model, agent.controller, choice.lookahead, choice.stray)
    elif choice.stray:
        agent = StrayingAgent(agent.world_model, agent.controller, choice.lookahead.lookahead_holds, choice.stray)
    return WorldModelPolicy(agent)


def agent_of(choice: PolicyChoice) -> Agent:
    """V, M and C, which are read once per process, as an agent that does not look ahead."""
    parts = (choice.vae, choice.mdnrnn, choice.controller)
    files = [path for path in parts if path is not None]
    if len(files) < len(parts):
        raise InputError(f"expected --vae, --mdnrnn and --controller together, found {choice}")
    # A file that was written again is read again.
    return _load_agent(*files, tuple(path.stat().st_mtime_ns for path in files if path.is_file()))


@functools.lru_cache(maxsize=1)
def _load_agent(vae: Path, mdnrnn: Path, controller: Path, written: tuple[int, ...]) -> Agent:
    del written
    return load_agent(vae, mdnrnn, controller)
