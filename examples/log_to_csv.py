"""Writes what the hand publishes as a table: python examples/log_to_csv.py state.csv 10"""

import csv
import sys

from inhand import Client

path, seconds = sys.argv[1], float(sys.argv[2])
with Client() as hand, open(path, "x", newline="") as file:
    table = csv.writer(file)
    table.writerow(["t", "mode", "error"])
    for topic, message in hand.messages(timeout=seconds):
        if topic == "state":
            goal = message["goal"]
            table.writerow([message["t"], message["mode"], goal["error"] if goal else ""])
