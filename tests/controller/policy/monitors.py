"""A monitor with one statistic, made by hand, for tests of whatever uses monitors."""

import numpy as np

from inhand.controller.policy.monitor import Model, Monitor, feature_count
from inhand.controller.policy.monitor_features import REGRESSORS
from inhand.hardware.model.hand import Hand


def pull_model(hand: Hand, servo: int, threshold: float) -> Model:
    """A model that finds a servo whose target is above its angle by this in the mean [rad]."""
    n, size = hand.n_actuators, feature_count(hand)
    directions = np.zeros((1, size))
    directions[0, n * (REGRESSORS + 1) + servo] = 1.0
    return Model(
        weights=np.zeros((n, REGRESSORS)),
        deviation=np.ones(n),
        scale=np.ones((n, REGRESSORS)),
        center=np.zeros(size),
        directions=directions,
        thresholds=np.array([threshold]),
        names=(f"{hand.actuator_names[servo]}: pull",),
        servos=1,
    )


def pull_monitor(hand: Hand, servo: int, threshold: float, sha256: str = "ab" * 32) -> Monitor:
    """The monitor of `pull_model`, for the first version of the observation."""
    return Monitor(hand, pull_model(hand, servo, threshold), 20.0, 1, sha256)
