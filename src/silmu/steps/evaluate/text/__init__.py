"""What an evaluation must know of texts."""
