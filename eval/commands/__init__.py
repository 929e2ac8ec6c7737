"""The commands of `python -m eval` besides `run`, one a file."""
