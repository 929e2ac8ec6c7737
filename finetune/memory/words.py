"""What a plan says, in Korean and English."""

from pathlib import Path

from tooltune.words import speaker

said = speaker(Path(__file__).with_name("words.yaml"))
