"""What gain, damping, delay and encoder offset a servo has."""
