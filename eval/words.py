"""What evaluations say in the terminal, in Korean and English."""

from pathlib import Path

from tooltune.words import Phrase, read_words, speaker

WORDS = Path(__file__).with_name("words.yaml")
phrase = speaker(WORDS)


def bucket_name(name: str) -> Phrase:
    """A bucket of the bundled dataset with what it holds ("T2 unseen phrasing"); any other as it is."""
    key = f"bucket.{name}" if f"bucket.{name}" in read_words(WORDS) else "bucket.other"
    return phrase(key, name=name)
