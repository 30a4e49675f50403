"""Maps from the codes of columns to the whole line, and back: what kinds of columns name as their `map`."""
