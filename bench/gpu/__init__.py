"""What a training step must at least take on a GPU, from its operations alone: predicted floors, never measurements."""
