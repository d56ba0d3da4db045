"""`python -m sim_backend`: a simulated hand, behind a serial line and cameras like a real one."""

from sim_backend.process import main

if __name__ == "__main__":
    main()
