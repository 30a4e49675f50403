"""A report on a fitted density: how good it is, where it is wrong, and what it was made from."""
