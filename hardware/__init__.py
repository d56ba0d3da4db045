"""The hand as a device: descriptions, kinematics, servo bus and driver."""
