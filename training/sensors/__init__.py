"""What a robot would measure of a simulated world."""
