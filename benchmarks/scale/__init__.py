"""How it grows: larger segments, and projects of more segments. Too long for one table, so not in `make bench`."""
