"""A dense feed-forward classifier on a table of features."""
