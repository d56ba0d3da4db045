"""The configuration file: schema, defaults, and settings made from it."""
