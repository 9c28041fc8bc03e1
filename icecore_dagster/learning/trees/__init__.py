"""Gradient-boosted trees on a table of features."""
