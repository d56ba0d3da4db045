"""`inhand calibrate camera|extrinsics|object|latency`."""
