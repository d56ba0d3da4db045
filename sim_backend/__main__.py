"""`python -m inhand.sim_backend`: a simulated hand behind a serial line and cameras."""

from inhand.sim_backend.process import main

if __name__ == "__main__":
    main()
