"""Everything that needs CUDA, as one runbook: README.md beside this file says how to go through it."""
