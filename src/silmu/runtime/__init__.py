"""What pipelines run on: model folders, sessions, generation, and raw things as arrays."""
