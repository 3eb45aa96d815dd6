"""What an evaluation must know of pictures."""
