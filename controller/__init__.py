"""The daemon: what happens between a goal and a servo, and the commands around it."""
