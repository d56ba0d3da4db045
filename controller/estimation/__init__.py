"""The pose filter: where the object is, how sure that is, and at what time."""
