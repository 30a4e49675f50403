"""Sound: WaveNet teacher and student, sound files, spectral losses."""
