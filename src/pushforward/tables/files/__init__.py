"""Table files: reading, writing and scanning them."""
