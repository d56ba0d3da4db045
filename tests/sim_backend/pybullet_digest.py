"""Digest of the nominal PyBullet world, to detect unintended changes of its constants.

The held-out rule: PyBullet's constants come from physics tests, before the first score of a
policy. `sim_backend/model.lock` stores the digests. An intended change updates them and is
recorded in `docs/acceptance-log.md`, since scores before and after are not comparable.
"""

import hashlib
import json

import pybullet

from inhand.hardware.model.hand import Hand
from inhand.hardware.model.universe import PybulletSettings, Universe
from inhand.perception.objects import ObjectDescription
from inhand.sim_backend.bodies import GEAR_ERP, GEAR_FORCE
from inhand.sim_backend.world import World
from tests.sim_backend.plain_values import plain


def pybullet_digest(hand: Hand, target: ObjectDescription) -> str:
    """SHA-256 of all parameters of the nominal world that PyBullet reports."""
    world = World(hand, target, Universe(), seed=0)
    settings = PybulletSettings()
    facts: list[object] = [hand.digest, target.digest, GEAR_FORCE, GEAR_ERP]
    facts += [settings.timestep, settings.iterations, *world.universe.gravity]
    for body in (world.hand_body, world.object_body):
        joints = range(pybullet.getNumJoints(body, physicsClientId=world.client))
        for link in (-1, *joints):
            facts.append(pybullet.getDynamicsInfo(body, link, physicsClientId=world.client))
            facts.append(pybullet.getCollisionShapeData(body, link, physicsClientId=world.client))
        for joint in joints:
            facts.append(pybullet.getJointInfo(body, joint, physicsClientId=world.client)[1:])
    world.close()
    return hashlib.sha256(json.dumps(plain(facts)).encode()).hexdigest()
