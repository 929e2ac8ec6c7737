"""How it is learnt: config and presets, the two backends, the trainer, what a run leaves behind."""
