"""Gradient-boosted trees on measured properties."""
