"""What tests of the hardware share."""

from hypothesis import HealthCheck, settings

# The machine may be busy with training: how long an example takes says nothing about the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")
