"""Defines a direction and its files, and applies edits to latents and images."""
