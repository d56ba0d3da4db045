"""System identification of servos: gain, damping, delay and encoder offset."""
