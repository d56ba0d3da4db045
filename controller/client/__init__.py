"""Clients for other programs: they find the daemon, ask it and read its replies."""
