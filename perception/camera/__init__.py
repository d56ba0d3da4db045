"""Camera sources, the process that reads one camera, previews and camera health."""
