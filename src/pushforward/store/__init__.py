"""The model file: its description, its contents and their limits."""
