"""Densities of tables: fitting, scoring, sampling and conditioning in the units of their columns."""
