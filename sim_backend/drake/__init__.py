"""The hand and an object in Drake: rubber that gives, and another solver. Extra `drake`."""
