"""PPO for the teacher, which sees the true state. Two large minibatches an epoch."""

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
from inhand.training.learning.widening import widen_network, widen_optimizer
from inhand.training.mujoco_worlds.environment import BatchEnvironment


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a run needs; written into its checkpoints."""

    worlds: int = 1024
    horizon: int = 16
    epochs: int = 3
    minibatches: int = 2
    discount: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    divergence: float = 0.025
    step_size: float = 3e-4
    critic_step_size: float = 1e-3
    deviation: float = 0.35
    persistence: float = 0.6
    normalize_iterations: int = 40
    start_distance: float = 0.8
    widen_factor: float = 1.12
    widen_at: float = 2.0
    vary_step: float = 0.05
    vary_at: float = 5.0
    vary_to: float = 1.0
    seed: int = 1

    @property
    def fresh(self) -> float:
        """Share of the exploration's deviation that is new at each step."""
        return float(np.sqrt(1.0 - self.persistence**2))


class Network(nn.Module):
    """Actor and critic, each 384-256 ELU, behind one normalization of the observation."""

    mean: Tensor
    variance: Tensor
    count: Tensor

    def __init__(self, inputs: int, actions: int, deviation: float) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("variance", torch.ones(inputs))
        self.register_buffer("count", torch.tensor(1e-4))
        self.actor = _layers(inputs, actions)
        self.critic = _layers(inputs, 1)
        self.log_deviation = nn.Parameter(torch.full((actions,), float(np.log(deviation))))

    def learn_scale(self, values: Tensor) -> None:
        """Takes a batch of observations, (n, inputs), into the running mean and variance."""
        mean, variance, n = values.mean(0), values.var(0, unbiased=False), len(values)
        total = self.count + n
        delta = mean - self.mean
        self.variance.copy_(
            (self.variance * self.count + variance * n + delta**2 * self.count * n / total) / total
        )
        self.mean.add_(delta * n / total)
        self.count.copy_(total)

    def normalize(self, values: Tensor) -> Tensor:
        # What has not varied so far (a universe's numbers while all are nominal) keeps its unit.
        variance = torch.where(self.variance < 1e-8, 1.0, self.variance + 1e-6)
        return ((values - self.mean) / torch.sqrt(variance)).clamp(-5.0, 5.0)

    def act(self, inputs: Tensor) -> Tensor:
        """The mean action for these inputs, (n, actions)."""
        mean: Tensor = self.actor(self.normalize(inputs))
        return mean


def teacher_inputs(worlds: BatchEnvironment, device: str) -> Tensor:
    """What the teacher sees: the observation without errors, then what only simulation knows."""
    parts = [worlds.observe(), worlds.privileged()]
    return torch.as_tensor(np.concatenate(parts, -1, dtype=np.float32), device=device)


def _layers(inputs: int, outputs: int) -> nn.Sequential:
    last = nn.Linear(256, outputs)
    nn.init.orthogonal_(last.weight, 0.01)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, 384), nn.ELU(), nn.Linear(384, 256), nn.ELU(), last)


class Teacher:
    """A training run: worlds, network, optimizer and their counters."""

    def __init__(self, worlds: BatchEnvironment, recipe: Recipe, device: str = "cpu") -> None:
        torch.manual_seed(recipe.seed)
        self.worlds, self.recipe, self.device = worlds, recipe, device
        worlds.goal_distance = recipe.start_distance
        self.inputs = teacher_inputs(worlds, self.device)
        self.network = Network(self.inputs.shape[1], worlds.hand.n_actuators, recipe.deviation).to(
            device
        )
        # The critic keeps its step size: steering is for the policy alone.
        policy = [*self.network.actor.parameters(), self.network.log_deviation]
        critic = list(self.network.critic.parameters())
        groups: list[dict[str, Any]] = [
            {"params": policy, "lr": recipe.step_size},
            {"params": critic, "lr": recipe.critic_step_size},
        ]
        self.optimizer = torch.optim.Adam(groups)
        self.iteration = self.steps = 0
        self.noise = torch.zeros(worlds.size, worlds.hand.n_actuators, device=device)
        self.ended: list[float] = []
        self.seconds = 0.0

    def iterate(self) -> dict[str, float]:
        """One rollout and the updates from it; returns what to log."""
        began = time.monotonic()
        with torch.no_grad():
            batch = self._rollout()
        moved = self._update(*batch)
        recipe, worlds = self.recipe, self.worlds
        self.iteration += 1
        self.steps += recipe.horizon * recipe.worlds
        self.seconds += time.monotonic() - began
        goals = float(np.mean(self.ended[-1000:])) if self.ended else 0.0
        if len(self.ended) >= 1000:
            self._harden(goals)
        return {
            "iteration": self.iteration,
            "steps": self.steps,
            "minutes": self.seconds / 60,
            "goals": goals,
            "distance": worlds.goal_distance,
            "universe_scale": worlds.universe_scale,
            "divergence": moved,
            "step_size_1e6": 1e6 * self.optimizer.param_groups[0]["lr"],
            "deviation": self.network.log_deviation.exp().mean().item(),
        }

    def _harden(self, goals: float) -> None:
        """Widens first the goals, then the universes, as long as the policy succeeds."""
        recipe, worlds = self.recipe, self.worlds
        if worlds.goal_distance < np.pi and goals > recipe.widen_at:
            worlds.goal_distance = min(np.pi, worlds.goal_distance * recipe.widen_factor)
        elif (
            worlds.goal_distance == np.pi
            and goals > recipe.vary_at
            and worlds.universe_scale < recipe.vary_to
        ):
            scale = worlds.universe_scale + recipe.vary_step
            worlds.universe_scale = min(recipe.vary_to, scale)
        else:
            return
        self.ended.clear()

    def _rollout(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        recipe, network, worlds = self.recipe, self.network, self.worlds
        inputs, actions, means, values, rewards, alive = ([] for _ in range(6))
        for _ in range(recipe.horizon):
            if self.iteration < recipe.normalize_iterations:
                network.learn_scale(self.inputs)
            x = network.normalize(self.inputs)
            mean = network.actor(x)
            # Noise that persists moves the servos, which white noise does not. Given the noise
            # of the step before, only its fresh part is left to chance.
            deviation = torch.exp(network.log_deviation)
            fresh = recipe.fresh * torch.randn_like(mean)
            self.noise = recipe.persistence * self.noise + fresh
            action = mean + deviation * self.noise
            step = worlds.step(action.cpu().numpy().astype(np.float64))
            over = step.dropped | step.timed_out
            ids = np.flatnonzero(over)
            self.ended.extend(worlds.goals_reached[ids].tolist())
            worlds.reset(ids)
            inputs.append(x)
            actions.append(mean + deviation * fresh)
            means.append(mean)
            value = network.critic(x)[:, 0]
            values.append(value)
            rewards.append(torch.as_tensor(step.reward, dtype=torch.float32, device=self.device))
            alive.append(torch.as_tensor(~over, dtype=torch.float32, device=self.device))
            self.inputs = teacher_inputs(worlds, self.device)
        following = network.critic(network.normalize(self.inputs))[:, 0]
        gain = advantages(
            rewards, values, alive, following, recipe.discount, recipe.trace
        ).flatten()
        returns = gain + torch.cat(values)
        return torch.cat(inputs), torch.cat(actions), torch.cat(means), gain, returns

    def _update(
        self, inputs: Tensor, actions: Tensor, means: Tensor, gain: Tensor, returns: Tensor
    ) -> float:
        recipe, network = self.recipe, self.network
        gain = (gain - gain.mean()) / (gain.std() + 1e-8)
        shrink = float(np.log(recipe.fresh))
        before = network.log_deviation.detach() + shrink
        old = log_probability(actions, means, before)
        moved = 0.0
        for _ in range(recipe.epochs):
            for ids in torch.randperm(len(inputs)).chunk(recipe.minibatches):
                x = inputs[ids]
                mean = network.actor(x)
                now = network.log_deviation + shrink
                likely = log_probability(actions[ids], mean, now)
                policy = policy_loss(likely, old[ids], gain[ids], recipe.clip)
                value = (network.critic(x)[:, 0] - returns[ids]).square().mean()
                loss = checked(policy, value, self.iteration)
                self.optimizer.zero_grad()
                torch.autograd.backward(loss)
                for group in self.optimizer.param_groups:
                    nn.utils.clip_grad_norm_(group["params"], 1.0)
                self.optimizer.step()
                with torch.no_grad():
                    moved = float(divergence(before, means[ids], now, mean))
            if moved > 2 * recipe.divergence:
                break
        steer(self.optimizer, moved, recipe.divergence)
        return moved

    def save(self, path: Path) -> None:
        """Writes a checkpoint; a reader sees the old one or the new one, never half of it."""
        write_checkpoint(
            path,
            self.worlds,
            {
                "kind": "teacher",
                "recipe": asdict(self.recipe),
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "counters": [self.iteration, self.steps, self.seconds],
                "difficulty": [self.worlds.goal_distance, self.worlds.universe_scale],
            },
        )

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint; see `read_checkpoint` for what it refuses."""
        state: dict[str, Any] = read_checkpoint(path, "teacher", self.worlds, "cpu")
        known, inputs = len(state["network"]["mean"]), self.inputs.shape[1]
        self.network.load_state_dict(widen_network(state["network"], inputs))
        self.optimizer.load_state_dict(widen_optimizer(state["optimizer"], known, inputs))
        self.iteration, self.steps, self.seconds = state["counters"]
        self.worlds.goal_distance, self.worlds.universe_scale = state["difficulty"]
