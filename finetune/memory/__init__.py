"""Will it fit: a plan of a run's GPU memory, term by term, before anything is loaded."""
