"""What an evaluation must know of the rows of a table."""
