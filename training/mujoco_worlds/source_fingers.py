"""Fingertips of a compiled model, and which links of its fingers collide."""

from collections.abc import Iterator, Sequence
from typing import Any

import mujoco
import numpy as np

from inhand.hardware.records import Array
from inhand.perception import rotations
from inhand.training.mujoco_worlds.source_bodies import anchor, body_name


def add_tips(
    model: mujoco.MjModel, links: Sequence[dict[str, Any]], notes: list[str]
) -> list[dict[str, Any]]:
    """Gives the last link of each finger a fingertip; returns these links."""
    inner = {link["parent"] for link in links}
    # A finger may end in fixed bodies.
    last = [link for link in links if link["name"] not in _carriers(model, inner)]
    for link in last:
        body = next(b for b in range(1, model.nbody) if body_name(model, b) == link["name"])
        places = [*_outer_places(model, body, np.eye(3), -anchor(model, body))]
        places.append(np.array(link.get("center", (0.0, 0.0, 0.0))))
        link["tip"] = max(places, key=lambda place: float(np.linalg.norm(place))).tolist()
    notes.append(
        "assumed: fingertips at the outermost site or shape of "
        + ", ".join(link["name"] for link in last)
    )
    return last


def _outer_places(model: mujoco.MjModel, body: int, turn: Array, origin: Array) -> Iterator[Array]:
    """Places of sites and colliding shapes of a body, and of bodies that are fixed to it.

    Args:
        model: the compiled model.
        body: its number.
        turn: of the body in the link's frame, (3, 3).
        origin: of the body in the link's frame [m], (3,).
    """
    collides = (model.geom_contype != 0) | (model.geom_conaffinity != 0)
    for place in (
        *model.site_pos[model.site_bodyid == body],
        *model.geom_pos[(model.geom_bodyid == body) & collides],
    ):
        yield origin + turn @ place
    for below in np.flatnonzero(model.body_parentid == body).tolist():
        if below and not model.body_jntnum[below]:
            own = turn @ rotations.to_matrix(model.body_quat[below])
            yield from _outer_places(model, below, own, origin + turn @ model.body_pos[below])


def _carriers(model: mujoco.MjModel, inner: set[str]) -> set[str]:
    """Names of bodies with a moving link below them, at any depth."""
    above: set[str] = set()
    for body in range(1, model.nbody):
        if model.body_jntnum[body]:
            at = int(model.body_parentid[body])
            while at:
                above.add(body_name(model, at))
                at = int(model.body_parentid[at])
    return above | inner


def collision_groups(
    links: Sequence[dict[str, Any]], tips: Sequence[dict[str, Any]]
) -> dict[str, list[str]]:
    """The last two links of each finger collide with those of the others."""
    children = {link["name"]: link for link in links}
    parents = [link["parent"] for link in links]
    groups = {}
    for tip in tips:
        before = children.get(tip["parent"])
        alone = before is not None and parents.count(before["name"]) == 1
        groups[tip["name"]] = [
            *([before["name"]] if alone and before is not None else []),
            tip["name"],
        ]
    return groups
