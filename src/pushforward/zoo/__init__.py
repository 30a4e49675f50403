"""The named architectures."""
