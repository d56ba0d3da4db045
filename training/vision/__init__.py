"""Training of the network that finds an object without tags: pictures, recipe, judgement."""

import os

# MuJoCo reads this when it is imported. Mesa's software renderer needs no display and no card.
os.environ.setdefault("MUJOCO_GL", "osmesa")
