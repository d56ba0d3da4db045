"""PPO in a batch of worlds, shared by teacher and refinement: rollout and update.

Actions are explored with correlated noise. The critic sees the true state in both stages.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from inhand.training.learning.experience import side_by_side
from inhand.training.learning.mixed_precision import mixed_precision
from inhand.training.learning.networks import Network
from inhand.training.learning.ppo import (
    PpoRecipe,
    advantages,
    checked,
    divergence,
    log_probability,
    policy_loss,
    steer,
)
from inhand.training.mujoco_worlds.batch_of_worlds import BatchOfWorlds


class Stepped(NamedTuple):
    """The result of one policy step in all worlds.

    Attributes:
        reward: (worlds,).
        alive: 0 where the step ended an episode, else 1, (worlds,).
        ended: indices of the worlds whose episode ended and that were reset, (k,).
        goals: goals reached in each ended episode, k of them.
        dropped: whether each ended episode ended with a drop, k of them.
        reached: goals reached in this step in all worlds.
    """

    reward: Tensor
    alive: Tensor
    ended: NDArray[np.int64]
    goals: list[int]
    dropped: list[bool]
    reached: int


def step_worlds(worlds: BatchOfWorlds, actions: Tensor, device: str) -> Stepped:
    """Advances all worlds by one policy step and resets those whose episode ended.

    Args:
        worlds: what is acted in.
        actions: in [-1, 1], (worlds, actuators).
        device: of the returned tensors.
    """
    # The arrays of worlds on a device are tensors; those of others are numpy's.
    on_device = isinstance(worlds.goal, Tensor)
    step = worlds.step(actions if on_device else actions.cpu().numpy().astype(np.float64))
    over = step.dropped | step.timed_out
    ended = np.flatnonzero(over.cpu().numpy() if on_device else over)
    goals, dropped = worlds.goals_reached[ended].tolist(), step.dropped[ended].tolist()
    worlds.count(ended)
    worlds.reset(ended)
    return Stepped(
        reward=torch.as_tensor(step.reward, dtype=torch.float32, device=device),
        alive=torch.as_tensor(~over, dtype=torch.float32, device=device),
        ended=ended,
        goals=goals,
        dropped=dropped,
        reached=int(step.reached.sum()),
    )


class Rollout(msgspec.Struct):
    """Some policy steps of all worlds; arrays are (steps, worlds, ...).

    Attributes:
        inputs: normalized inputs of the critic.
        actions: sampled actions without the part of the noise that was fixed one step earlier.
        means: mean actions of the policy at that time.
        alive: 0 where a step ended its episode, else 1.
        values: of the critic, before each step.
        returns: targets of the critic.
        log_deviation: logarithm of the exploration's standard deviation at that time.
    """

    inputs: Tensor
    actions: Tensor
    means: Tensor
    alive: Tensor
    values: Tensor
    returns: Tensor
    log_deviation: Tensor

    @property
    def gain(self) -> Tensor:
        """Normalized advantages."""
        gain = self.returns - self.values
        return (gain - gain.mean()) / (gain.std() + 1e-8)

    @property
    def explained(self) -> float:
        """Share of the variance of the returns that the critic explains, at most 1."""
        missed = (self.returns - self.values).var() / self.returns.var().clamp(min=1e-8)
        return 1.0 - float(missed)

    def as_one_step(self) -> "Rollout":
        """The same samples with all steps side by side, (1, steps · worlds, ...)."""
        return Rollout(
            **{name: getattr(self, name).flatten(0, 1)[None] for name in self.__struct_fields__}
        )

    @staticmethod
    def joined(parts: Sequence["Rollout"]) -> "Rollout":
        """Rollouts of several batches of worlds as one."""
        return Rollout(
            **{
                name: side_by_side([getattr(part, name) for part in parts])
                for name in Rollout.__struct_fields__
            }
        )


class PpoLearner:
    """Exploration noise, optimizer and the two steps of PPO: `rollout` and `update`.

    Args:
        worlds: what is acted in.
        recipe: settings.
        network: normalizes the critic's inputs and holds the critic.
        policy: parameters of the policy's mean.
        log_deviation: logarithm of the exploration's standard deviation, (actions,).
        device: of the learner.

    Attributes:
        optimizer: Adam, the policy's parameters in the first group, the critic's in the second.
        noise: correlated noise of the last step in units of the deviation, (worlds, actions).
    """

    def __init__(
        self,
        worlds: BatchOfWorlds,
        recipe: PpoRecipe,
        network: Network,
        policy: Sequence[nn.Parameter],
        log_deviation: nn.Parameter,
        device: str,
    ) -> None:
        self._worlds, self._recipe, self._device = worlds, recipe, device
        self._network, self._log_deviation = network, log_deviation
        # The critic keeps its step size: `steer` changes that of the first group alone.
        self.optimizer = torch.optim.Adam(
            [
                {"params": [*policy, log_deviation], "lr": recipe.step_size},
                {"params": list(network.critic.parameters()), "lr": recipe.critic_step_size},
            ]
        )
        self.noise = torch.zeros(worlds.size, worlds.hand.n_actuators, device=device)

    @torch.no_grad()
    def rollout(
        self,
        look: Callable[[], Tensor],
        act: Callable[[Tensor], Tensor],
        stepped: Callable[[Stepped], None],
    ) -> Rollout:
        """Acts for `horizon` steps in all worlds.

        Args:
            look: the critic's raw inputs at present, (worlds, inputs). It is called before each
                step, and once more after the last one.
            act: mean actions, (worlds, actions), for the critic's raw inputs, (worlds, inputs).
            stepped: called after each step, for bookkeeping of ended episodes.
        """
        recipe, network = self._recipe, self._network
        deviation = torch.exp(self._log_deviation)
        inputs, actions, means, rewards, alive = ([] for _ in range(5))
        for _ in range(recipe.horizon):
            seen = look()
            with mixed_precision(self._device, recipe.bfloat16):
                mean = act(seen).float()
            x = network.normalize(seen)
            # White noise does not move the servos, correlated noise does. Given the noise of
            # the step before, only the innovation is random.
            innovation = recipe.innovation * torch.randn_like(mean)
            self.noise = recipe.persistence * self.noise + innovation
            step = step_worlds(self._worlds, mean + deviation * self.noise, self._device)
            stepped(step)
            inputs.append(x)
            actions.append(mean + deviation * innovation)
            means.append(mean)
            rewards.append(step.reward)
            alive.append(step.alive)
        last = network.normalize(look())
        # One pass over the whole rollout is cheaper than one for each step.
        with mixed_precision(self._device, recipe.bfloat16):
            *values, following = network.value(torch.stack([*inputs, last]))
        gain = advantages(rewards, values, alive, following, recipe.discount, recipe.trace)
        return Rollout(
            inputs=torch.stack(inputs),
            actions=torch.stack(actions),
            means=torch.stack(means),
            alive=torch.stack(alive),
            values=torch.stack(values),
            returns=gain + torch.stack(values),
            log_deviation=self._log_deviation.detach().expand(len(means), *means[0].shape).clone(),
        )

    def update(
        self,
        rollout: Rollout,
        means_of: Callable[[Tensor], Tensor],
        iteration: int,
        policy_learns: bool = True,
        auxiliary: Callable[[], Tensor] | None = None,
    ) -> tuple[float, float]:
        """Some epochs over minibatches of the rollout's worlds.

        Args:
            rollout: what to learn from.
            means_of: present mean actions, (steps, len(ids), actions), in these worlds.
            iteration: for the message of an error.
            policy_learns: whether the policy learns too, or the critic alone.
            auxiliary: another loss of what `means_of` computed last.

        Returns:
            Divergence from the policy before, and mean squared error of the critic in units of
            the returns' variance, both of the last minibatch.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        recipe, network = self._recipe, self._network
        shrink = float(np.log(recipe.innovation))
        before = rollout.log_deviation + shrink
        gain = rollout.gain
        old = log_probability(rollout.actions, rollout.means, before)
        moved = error = 0.0
        network.learn_returns(rollout.returns)
        wanted = (rollout.returns - network.return_mean) / network.return_deviation
        for _ in range(recipe.epochs):
            for ids in torch.randperm(rollout.actions.shape[1]).chunk(recipe.minibatches):
                with mixed_precision(self._device, recipe.bfloat16):
                    predicted = network.scaled_value(rollout.inputs[:, ids])
                    mean = means_of(ids).float() if policy_learns else rollout.means[:, ids]
                value = (predicted - wanted[:, ids]).square().mean()
                policy = torch.zeros((), device=self._device)
                if policy_learns:
                    now = self._log_deviation + shrink
                    likely = log_probability(rollout.actions[:, ids], mean, now)
                    policy = policy_loss(likely, old[:, ids], gain[:, ids], recipe.clip)
                loss = checked(policy, value, iteration)
                if auxiliary and policy_learns:
                    loss = loss + auxiliary()
                self.optimizer.zero_grad()
                torch.autograd.backward(loss)
                for group in self.optimizer.param_groups:
                    nn.utils.clip_grad_norm_(group["params"], 1.0)
                self.optimizer.step()
                error = float(value.detach())
                if policy_learns:
                    with torch.no_grad():
                        moved = float(divergence(before[:, ids], rollout.means[:, ids], now, mean))
            if moved > 2 * recipe.divergence:
                break
        most = recipe.most_deviation(iteration)
        self._log_deviation.data.clamp_(max=float(np.log(most)))
        if policy_learns:
            steer(self.optimizer, moved, recipe.divergence)
        return moved, error
