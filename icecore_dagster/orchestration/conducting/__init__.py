"""Driving Dagster from a program: queue, wait, and say what went wrong."""
