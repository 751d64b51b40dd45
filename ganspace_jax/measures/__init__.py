"""Measures what directions do to images, with intervals."""
