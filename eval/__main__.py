"""`python -m eval`."""

from eval.cli import app
from tooltune.cli import start

if __name__ == "__main__":
    start(app, "python -m eval")
