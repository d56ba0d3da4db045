"""Policies that were made elsewhere: wrapped into files that the daemon runs."""
