"""From camera frames to object poses: sources, tag detection, pose estimation, calibration."""
