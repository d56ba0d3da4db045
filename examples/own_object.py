"""Describes a box with a tag on each face: python examples/own_object.py my-box.toml"""

import sys

from inhand import load_object

HEAD = """name = "my-box"
schema = 2
shape = "box"
size = [0.050, 0.055, 0.060]
mass = 0.09
friction = 1.0
symmetry = "none"
"""
path = sys.argv[1]
with open(path, "x") as file:
    file.write(HEAD)
    for number, face in enumerate(["+x", "-x", "+y", "-y", "+z", "-z"]):
        file.write(f'[[tags]]\nid = {40 + number}\nsize = 0.032\nface = "{face}"\n')
box = load_object(path)
print(box.name, "has", len(box.tags), "tags; print them with: inhand print object", path)
