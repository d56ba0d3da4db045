"""Turns an object in a dexterous robot hand: what other programs use of inhand.

Each name is loaded when it is first used, so that a client of the daemon needs neither a physics
engine nor a policy runtime.
"""

import importlib
from typing import TYPE_CHECKING, Any

from inhand.errors import InhandError

if TYPE_CHECKING:
    from inhand.controller.client.asynchronous import AsyncClient
    from inhand.controller.client.sync import Client
    from inhand.controller.environment.hand_env import HandEnv
    from inhand.controller.errors import ClientError, RefusedError
    from inhand.controller.policy.runtime import Policy, load_policy
    from inhand.hardware.model.hand import Hand, load_hand
    from inhand.perception.objects import ObjectDescription, load_object
    from inhand.training.evaluation.evaluation import evaluate
    from inhand.training.evaluation.evaluation_arguments import EvaluationArguments
    from inhand.training.evaluation.report import Report
    from inhand.training.mujoco_worlds.gymnasium_environment import HandEnvironment

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "EvaluationArguments",
    "Hand",
    "HandEnv",
    "HandEnvironment",
    "InhandError",
    "ObjectDescription",
    "Policy",
    "RefusedError",
    "Report",
    "evaluate",
    "load_hand",
    "load_object",
    "load_policy",
]

_MODULES = {
    "AsyncClient": "controller.client.asynchronous",
    "Client": "controller.client.sync",
    "ClientError": "controller.errors",
    "EvaluationArguments": "training.evaluation.evaluation_arguments",
    "Hand": "hardware.model.hand",
    "HandEnv": "controller.environment.hand_env",
    "HandEnvironment": "training.mujoco_worlds.gymnasium_environment",
    "ObjectDescription": "perception.objects",
    "Policy": "controller.policy.runtime",
    "RefusedError": "controller.errors",
    "Report": "training.evaluation.report",
    "evaluate": "training.evaluation.evaluation",
    "load_hand": "hardware.model.hand",
    "load_object": "perception.objects",
    "load_policy": "controller.policy.runtime",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'inhand' has no attribute {name!r}")
    return getattr(importlib.import_module(f"inhand.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
