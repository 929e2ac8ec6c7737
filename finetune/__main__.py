"""`python -m finetune`."""

from finetune.cli import app
from tooltune.cli import start

if __name__ == "__main__":
    start(app, "python -m finetune")
