"""This project's scorer beside BFCL's: the same outputs, two verdicts, and a reason for every difference."""
