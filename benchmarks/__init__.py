"""What is measured, and against what: `inhand bench`."""
