"""Pictures, as PNG: each function takes tables or arrays that are computed already."""
