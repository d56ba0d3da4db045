"""Dynamixel Protocol 2.0: packets, bus, bring-up, servo health, and the driver of a hand."""
