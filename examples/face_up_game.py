"""Asks for random faces and counts points for a minute: python examples/face_up_game.py 60"""

import random
import sys

from inhand import Client, RefusedError

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
points = 0
with Client() as hand:
    hand.subscribe()
    for request in ("enable", "home", "arm"):
        hand.call(request)
    hand.call("goal", face=random.choice(["+x", "-x", "+y", "-y", "+z", "-z"]), timeout=20.0)
    for event in hand.events(timeout=seconds):
        if event["kind"] not in ("goal_reached", "goal_missed", "object_dropped"):
            continue
        points += {"goal_reached": 1, "goal_missed": 0, "object_dropped": -3}[event["kind"]]
        print(event["kind"], "points:", points)
        try:
            face = random.choice(["+x", "-x", "+y", "-y", "+z", "-z"])
            hand.call("goal", face=face, timeout=20.0)
        except RefusedError as error:
            print("the game is over:", error)
            break
    hand.call("hold")
print("points:", points)
