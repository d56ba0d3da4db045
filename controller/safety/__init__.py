"""What may be sent to the servos, and when the hand must stop."""
