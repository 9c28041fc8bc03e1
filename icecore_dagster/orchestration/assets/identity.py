"""Who owns the assets."""

OWNERS = ["team:ice-core-particles"]
