"""Converts other programs' checkpoints: one file per source format."""
