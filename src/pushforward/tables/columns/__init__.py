"""The columns of a table as numbers, and as bijections."""
