"""`python -m data`."""

from data.commands import app

if __name__ == "__main__":
    app()
