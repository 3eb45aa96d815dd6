"""Deep learning from a study note to practice."""

__version__ = "0.1.0"
