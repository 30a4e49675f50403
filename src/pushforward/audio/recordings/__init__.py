"""Recordings: sound files, segments, mel frames and spectra."""
