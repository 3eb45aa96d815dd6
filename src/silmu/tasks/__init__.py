"""Kinds of problems, one file each: the six steps from data to a model that answers."""
