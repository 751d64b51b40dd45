"""Finds directions: one file per method, each returns Components."""
