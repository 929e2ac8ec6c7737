"""`python -m data`."""

from data.commands import app
from tooltune.cli import start

if __name__ == "__main__":
    start(app, "python -m data")
