"""Normalizing flows: exact densities, exact samples and latent features through invertible maps."""
