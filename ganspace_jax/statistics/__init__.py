"""Turns arrays into numbers. It imports no generator and no file."""
