"""What a check says, in Korean and English."""

from pathlib import Path

from tooltune.words import speaker

phrase = speaker(Path(__file__).with_name("words.yaml"))
