"""Models in forms that other programs evaluate: each form is one file of this folder, and one line of `writing`."""
