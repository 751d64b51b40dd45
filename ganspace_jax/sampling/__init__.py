"""Runs a generator over many latents on all devices: draws latents, reads layers, makes
images, inverts pictures.
"""
