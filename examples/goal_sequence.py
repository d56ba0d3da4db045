"""Turns three faces up, one after another: python examples/goal_sequence.py +x +y -z"""

import sys

from inhand import Client

faces = sys.argv[1:] or ["+x", "+y", "-z"]
with Client() as hand:
    hand.subscribe()
    hand.call("enable")
    hand.call("home")
    hand.call("arm")
    numbers = hand.call("goals", goals=[{"face": face} for face in faces], timeout=60.0)["goals"]
    for event in hand.events(timeout=200.0):
        if event["kind"] in ("goal_reached", "goal_missed"):
            print(faces[numbers.index(event["goal"])], event["kind"])
            if event["goal"] == numbers[-1]:
                break
        if event["kind"] == "mode" and event["before"] == "running":
            print("stopped:", event["reason"])
            break
