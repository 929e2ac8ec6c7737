"""A model behind an OpenAI-compatible server: ask it, and score what the server made of its answers."""
