"""Particle tables as text: lists, exports and image tables, brought to VisualSpreadsheet 4's column names."""
