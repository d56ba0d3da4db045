"""The hand as data: description, kinematics, URDF, inertia, and what may differ between worlds."""
