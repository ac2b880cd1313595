"""`python -m assistant.cli` is the command `anomaly`."""

from assistant.cli.app import main

if __name__ == "__main__":
    main()
