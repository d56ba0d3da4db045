"""Worlds in MuJoCo: models, batches, variation between worlds, Gymnasium environment."""
