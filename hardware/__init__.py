"""The hand as a device: its description, its servos, and the bus that reads and commands them."""
