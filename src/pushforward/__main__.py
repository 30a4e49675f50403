"""`python -m pushforward` is the command `pushforward`."""

from pushforward.cli.main import run

if __name__ == "__main__":
    run()
