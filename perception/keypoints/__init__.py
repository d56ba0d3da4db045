"""Corners of an object without tags, found by a network."""
