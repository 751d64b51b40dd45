"""Turns arrays into numbers. Knows no generator and no file."""
