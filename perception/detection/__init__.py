"""From a frame to tag corners."""
