"""The compiled half, in which the errors of the engine live."""
