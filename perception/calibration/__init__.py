"""Camera and object calibration: `inhand calibrate camera|extrinsics|object|latency`."""
