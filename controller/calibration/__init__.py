"""`inhand calibrate joints|servos` and `inhand doctor`: motions of the hand that measure it."""
