"""Figures and pages, from tables and arrays already computed."""
