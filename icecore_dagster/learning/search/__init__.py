"""Searching for a network and the constants of its training, by what validation runs say."""
