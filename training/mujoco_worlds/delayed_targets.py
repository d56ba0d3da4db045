"""Targets on their way to the servos of a batch of worlds."""

from array_api_compat import array_namespace, device

from inhand.training.mujoco_worlds.rewards import Values


class DelayedTargets:
    """A ring buffer of sent targets.

    Args:
        rest: targets of a world that was reset [rad], (n_actuators,), an array of numpy, or a
            tensor on the device of all others.
        size: number of worlds.
        longest: longest delay [ticks].
    """

    def __init__(self, rest: Values, size: int, longest: int) -> None:
        xp, here = array_namespace(rest), device(rest)
        self._rest = rest
        self._sent = xp.tile(rest, (longest + 1, size, 1))
        self._newest = 0
        worlds, actuators = xp.arange(size, device=here), xp.arange(len(rest), device=here)
        self._worlds = worlds[:, None], actuators[None]

    def reset(self, ids: Values) -> None:
        """Lets these worlds begin at their rest pose."""
        self._sent[:, ids] = self._rest

    def send(self, targets: Values) -> None:
        """Adds the targets of a tick [rad], (size, n_actuators)."""
        self._newest = (self._newest + 1) % len(self._sent)
        self._sent[self._newest] = targets

    def arrived(self, delay: Values) -> Values:
        """Targets that have reached the servos [rad], (size, n_actuators).

        Args:
            delay: of each servo [ticks], (size, n_actuators).
        """
        worlds, actuators = self._worlds
        targets: Values = self._sent[(self._newest - delay) % len(self._sent), worlds, actuators]
        return targets
