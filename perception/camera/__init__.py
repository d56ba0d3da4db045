"""Where frames come from, the process that reads one camera, previews and camera health."""
