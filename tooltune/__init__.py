"""What the four packages share."""
