"""Benchmarks beside peers or limits: `inhand bench`."""
