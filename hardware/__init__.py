"""The hand as a device: its description, its servos, and how they are read and commanded."""
