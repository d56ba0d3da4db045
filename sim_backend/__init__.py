"""The simulated hand: physics, servos behind a serial line, rendered cameras."""
