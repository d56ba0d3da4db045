"""A web page that shows the hand, what the daemon believes, and what is really so in simulation."""
