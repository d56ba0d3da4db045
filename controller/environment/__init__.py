"""A running hand as a Gymnasium environment."""
