"""Sensor models: what a robot would measure of a simulated world."""
