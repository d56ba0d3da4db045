"""`inhand`: the commands that a person types."""
