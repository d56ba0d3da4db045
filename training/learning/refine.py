"""PPO for the student itself, which goes on where imitation ends.

What the teacher does, the student can only copy as far as it sees what the teacher sees. Here the
student's own successes and drops teach it, under all that its sensors do to it; the critic still
sees the truth, and starts as the teacher's. The gradient runs back through one rollout, from the
state that the student was in (arXiv:1808.00177, appendix D.1, with shorter chunks).
"""

import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from msgspec.structs import asdict
from torch import Tensor, nn

from inhand.training.learning.checkpoint import read_checkpoint, write_checkpoint
from inhand.training.learning.ppo import (
    advantages,
    checked,
    divergence,
    log_probability,
    policy_loss,
    steer,
)
from inhand.training.learning.student import State, StudentNetwork
from inhand.training.learning.teacher import Network, teacher_inputs
from inhand.training.learning.widening import widen_network, widen_optimizer
from inhand.training.mujoco_worlds.environment import BatchEnvironment
from inhand.training.sensors.sensors import Sensors


class RefineRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run needs; written into its checkpoints.

    A goal may take longer than the teacher's did: how to get out of a jam is learned in it.
    """

    worlds: int = 1024
    horizon: int = 16
    epochs: int = 3
    minibatches: int = 2
    seconds_per_goal: float = 20.0
    discount: float = 0.995
    trace: float = 0.95
    clip: float = 0.2
    divergence: float = 0.02
    step_size: float = 1e-4
    critic_step_size: float = 5e-4
    critic_iterations: int = 20
    deviation: float = 0.2
    persistence: float = 0.6
    seed: int = 3

    @property
    def fresh(self) -> float:
        """Share of the exploration's deviation that is new at each step."""
        return float(np.sqrt(1.0 - self.persistence**2))


class Rollout(msgspec.Struct):
    """What happened in some steps of all worlds; arrays are (steps, worlds, ...).

    Attributes:
        start: the student's state before the first step.
        seen: observations.
        keep: 0 where a step ended its episode, and so the memory of it, else 1.
        actions: taken, less the part of the noise that the step before had settled.
        means: of the student at that time.
        truth: normalized inputs of the critic.
        returns: what the critic is to say.
        gain: normalized advantages.
    """

    start: State
    seen: Tensor
    keep: Tensor
    actions: Tensor
    means: Tensor
    truth: Tensor
    returns: Tensor
    gain: Tensor


class Refinement:
    """A training run: worlds, sensors, student, critic, optimizer and their counters.

    Args:
        worlds: what is acted in.
        student: the network to go on with.
        teacher: its critic is where this run's critic begins.
        recipe: settings.
        device: of the learner.
    """

    def __init__(
        self,
        worlds: BatchEnvironment,
        student: StudentNetwork,
        teacher: Network,
        recipe: RefineRecipe,
        device: str = "cpu",
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.recipe, self.device = worlds, recipe, device
        self.network, self.teacher = student.to(device), teacher.to(device)
        self.sensors = Sensors(worlds, recipe.seed)
        n, actions = worlds.size, worlds.hand.n_actuators
        level = torch.full((actions,), float(np.log(recipe.deviation)), device=device)
        self.log_deviation = nn.Parameter(level)
        policy = [*self.network.parameters(), self.log_deviation]
        groups: list[dict[str, Any]] = [
            {"params": policy, "lr": recipe.step_size},
            {"params": list(self.teacher.critic.parameters()), "lr": recipe.critic_step_size},
        ]
        self.optimizer = torch.optim.Adam(groups)
        self.state = self.network.start(n)
        self.noise = torch.zeros(n, actions, device=device)
        self.iteration = self.steps = 0
        self.seconds = 0.0
        self.ended: list[tuple[int, bool]] = []

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns what to log."""
        began = time.monotonic()
        moved, error = self._update(self._rollout())
        self.iteration += 1
        self.steps += self.recipe.horizon * self.worlds.size
        self.seconds += time.monotonic() - began
        del self.ended[:-2000]
        goals, drops = np.array(self.ended).sum(0) if self.ended else (0, 0)
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": float(goals / max(1, len(self.ended))),
            "goals_per_drop": float(goals / max(1, drops)),
            "divergence": moved,
            "value_error": error,
            "step_size_1e6": 1e6 * self.optimizer.param_groups[0]["lr"],
            "deviation": self.log_deviation.exp().mean().item(),
        }

    @torch.no_grad()
    def _rollout(self) -> Rollout:
        recipe, worlds, device = self.recipe, self.worlds, self.device
        start, deviation = self.state, torch.exp(self.log_deviation)
        seen, actions, means, truth, values, rewards, alive = ([] for _ in range(7))
        for _ in range(recipe.horizon):
            observation = torch.as_tensor(self.sensors.observe(), device=device)
            true = self.teacher.normalize(teacher_inputs(worlds, device))
            mean, self.state = self.network(observation, self.state)
            # Noise that persists moves the servos, which white noise does not. Given the noise
            # of the step before, only its fresh part is left to chance.
            fresh = recipe.fresh * torch.randn_like(mean)
            self.noise = recipe.persistence * self.noise + fresh
            action = mean + deviation * self.noise
            step = worlds.step(action.cpu().numpy().astype(np.float64))
            over = step.dropped | step.timed_out
            ids = np.flatnonzero(over)
            self.ended.extend(
                zip(worlds.goals_reached[ids].tolist(), step.dropped[ids].tolist(), strict=True)
            )
            worlds.reset(ids)
            self.sensors.reset(ids)
            lives = torch.as_tensor(~over, dtype=torch.float32, device=device)
            self.state = (self.state[0] * lives[:, None], self.state[1] * lives[:, None])
            seen.append(observation)
            actions.append(mean + deviation * fresh)
            means.append(mean)
            truth.append(true)
            values.append(self.teacher.critic(true)[:, 0])
            rewards.append(torch.as_tensor(step.reward, dtype=torch.float32, device=device))
            alive.append(lives)
        last = self.teacher.normalize(teacher_inputs(worlds, device))
        following = self.teacher.critic(last)[:, 0]
        gain = advantages(rewards, values, alive, following, recipe.discount, recipe.trace)
        return Rollout(
            start=start,
            seen=torch.stack(seen),
            keep=torch.stack(alive)[..., None],
            actions=torch.stack(actions),
            means=torch.stack(means),
            truth=torch.stack(truth),
            returns=gain + torch.stack(values),
            gain=(gain - gain.mean()) / (gain.std() + 1e-8),
        )

    def _means(self, rollout: Rollout, ids: Tensor) -> Tensor:
        """What the student would do now in these worlds' rollouts, (steps, len(ids), actions)."""
        state = (rollout.start[0][ids], rollout.start[1][ids])
        means = []
        for seen, keep in zip(rollout.seen[:, ids], rollout.keep[:, ids], strict=True):
            mean, (hidden, cell) = self.network(seen, state)
            state = (hidden * keep, cell * keep)
            means.append(mean)
        return torch.stack(means)

    def _update(self, rollout: Rollout) -> tuple[float, float]:
        """Epochs over the worlds' sequences; returns the divergence and the critic's error."""
        recipe = self.recipe
        shrink = float(np.log(recipe.fresh))
        before = self.log_deviation.detach() + shrink
        old = log_probability(rollout.actions, rollout.means, before)
        learning = self.iteration >= recipe.critic_iterations
        moved = error = 0.0
        for _ in range(recipe.epochs):
            for ids in torch.randperm(self.worlds.size).chunk(recipe.minibatches):
                value = (
                    (self.teacher.critic(rollout.truth[:, ids])[..., 0] - rollout.returns[:, ids])
                    .square()
                    .mean()
                )
                policy = torch.zeros((), device=self.device)
                if learning:
                    mean, now = self._means(rollout, ids), self.log_deviation + shrink
                    likely = log_probability(rollout.actions[:, ids], mean, now)
                    policy = policy_loss(likely, old[:, ids], rollout.gain[:, ids], recipe.clip)
                loss = checked(policy, value, self.iteration)
                self.optimizer.zero_grad()
                torch.autograd.backward(loss)
                for group in self.optimizer.param_groups:
                    nn.utils.clip_grad_norm_(group["params"], 1.0)
                self.optimizer.step()
                error = float(value.detach())
                if learning:
                    with torch.no_grad():
                        moved = float(divergence(before, rollout.means[:, ids], now, mean))
            if moved > 2 * recipe.divergence:
                break
        if learning:
            steer(self.optimizer, moved, recipe.divergence)
        return moved, error

    def save(self, path: Path) -> None:
        """Writes a checkpoint; a reader sees the old one or the new one, never half of it."""
        write_checkpoint(
            path,
            self.worlds,
            {
                "kind": "student",
                "recipe": {
                    **asdict(self.recipe),
                    "hidden": self.network.hidden,
                    "memory": self.network.memory,
                },
                "network": self.network.state_dict(),
                "critic": self.teacher.state_dict(),
                "log_deviation": self.log_deviation.detach(),
                "optimizer": self.optimizer.state_dict(),
                "counters": [self.iteration, self.steps, self.seconds],
                "universe_scale": self.worlds.universe_scale,
            },
        )

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint; see `read_checkpoint` for what it refuses."""
        state: dict[str, Any] = read_checkpoint(path, "student", self.worlds, self.device)
        self.network.load_state_dict(state["network"])
        known, inputs = len(state["critic"]["mean"]), len(self.teacher.mean)
        self.teacher.load_state_dict(widen_network(state["critic"], inputs))
        self.log_deviation.data.copy_(state["log_deviation"])
        self.optimizer.load_state_dict(widen_optimizer(state["optimizer"], known, inputs))
        self.iteration, self.steps, self.seconds = state["counters"]
