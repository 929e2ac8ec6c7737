"""Is this machine ready to train, and if not, what mends it: `make doctor`."""
