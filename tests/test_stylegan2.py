"""StyleGAN2 against the reference arrays."""
