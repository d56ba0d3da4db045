"""From camera frames to poses of the object: sources, tag detection, pose, calibration."""
