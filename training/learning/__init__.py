"""Learning: teacher, student, refinement, and export of the policy."""
