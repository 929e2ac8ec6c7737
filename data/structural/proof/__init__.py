"""What proves a row right: the engine, a second reader of the text, leak checks and a probe without a model."""
