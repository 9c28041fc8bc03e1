"""Learning from few labels: a siamese network, and what one, five or ten examples of a new material are worth."""
