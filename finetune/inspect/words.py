"""What the token views say, in Korean and English."""

from pathlib import Path

from tooltune.words import speaker

WORDS = Path(__file__).with_name("words.yaml")
say = speaker(WORDS)
