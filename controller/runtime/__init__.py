"""`inhandd`: starts the parts, supervises child processes and runs the tick loop."""
