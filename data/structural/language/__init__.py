"""How requests are worded: Korean and English verbs, particles, nouns, quantities, and what typing does to them."""
