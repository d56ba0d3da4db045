"""Frames to tag corners to poses."""
