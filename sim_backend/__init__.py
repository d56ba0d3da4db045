"""The hand, object, cameras and servos as PyBullet physics."""
