"""Reads files of other programs without executing anything in them."""
