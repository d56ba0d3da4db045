"""Hand description, kinematics, URDF, inertia, and the randomized parameters of worlds."""
