"""Readers of other programs' files that run nothing of what is in them."""
