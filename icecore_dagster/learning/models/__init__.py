"""Saved models: their cards, their files, and reading them back."""
