"""The controller daemon: tick, fusion, observation, action path, policy, modes and safety."""
