"""Trains the shipped generators against a discriminator on procedural scenes."""
