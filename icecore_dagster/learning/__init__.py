"""Learning from labelled particles: networks, trees, the forest, maps, and the files that models are kept in."""
