"""Flows of other libraries rebuilt as ours: their families of maps, layers that hold them, and their weights."""
