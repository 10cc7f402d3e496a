"""The study file: one module for each of its blocks."""
