"""A run for other programs: merged, as GGUF, or the adapter as GGUF; and the proof of the prompts they build."""
