"""The control step: one call a tick, from measurements to joint targets."""
