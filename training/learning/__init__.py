"""Teacher, student, refinement and the export of a policy."""
