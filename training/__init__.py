"""Learns policies in MuJoCo and measures them in every engine."""
