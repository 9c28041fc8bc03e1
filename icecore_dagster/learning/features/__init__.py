"""What a model that learns from a table learns from: measured properties, and features of the image."""
