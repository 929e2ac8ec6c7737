"""`python -m benchmarks`."""

from benchmarks.cli import run

if __name__ == "__main__":
    run()
