"""Models of images: reading files, fitting, and what is done with the density."""
