"""`python -m finetune`."""

from finetune.cli import app

if __name__ == "__main__":
    app()
