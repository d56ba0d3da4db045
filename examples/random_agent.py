"""Moves joints at random in an environment of Gymnasium: python examples/random_agent.py 2

It starts a simulated hand. With a second argument, the directory of a running daemon's sockets, it
uses that hand instead.
"""

import sys

from inhand import HandEnv

episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
env = HandEnv(sys.argv[2] if len(sys.argv) > 2 else None, seconds=1.0)
try:
    for episode in range(episodes):
        observation, info = env.reset(seed=1 if episode == 0 else None)
        total, ended = 0.0, False
        while not ended:
            observation, reward, dropped, late, info = env.step(0.2 * env.action_space.sample())
            total, ended = total + reward, dropped or late
        print(f"episode {episode}: reward {total:.2f}, {info['error']:.2f} rad to go")
finally:
    env.close()
