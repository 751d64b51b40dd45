"""The procedural ground truth: renderer, probe, and the training of the shipped models."""
