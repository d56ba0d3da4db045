"""Ray: work on many machines."""
