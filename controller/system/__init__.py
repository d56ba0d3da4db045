"""Operating system: clock, scheduling, paths, files, child processes, emergency-stop line."""
