"""Evaluation: trials, `inhand eval`, the transfer table, the probe and the acceptance log."""
