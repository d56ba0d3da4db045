"""`python -m inhand`: the same as the command `inhand`."""

from inhand.controller.cli.main import main

if __name__ == "__main__":
    main()
