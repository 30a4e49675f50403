"""Recordings: files, segments and what is computed from sound."""
