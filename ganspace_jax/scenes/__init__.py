"""The procedural ground truth: renderer, probe, and training of the shipped models."""
