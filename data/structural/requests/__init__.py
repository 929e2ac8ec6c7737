"""What requests are about: intents, slots, tool lists, rows, sessions and the mix of each split."""
