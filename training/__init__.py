"""Learning in MuJoCo: worlds, batch environment, teacher, student, export and evaluation."""
