"""Pages to print in true size: objects with their tags, calibration plates, single tags."""
