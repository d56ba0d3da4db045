"""Flight recorder, recordings, replay, export and plots."""
