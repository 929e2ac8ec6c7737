"""What a run becomes outside of this project: a merged model, GGUF, Ollama, vLLM; and the proof that its calls work."""
