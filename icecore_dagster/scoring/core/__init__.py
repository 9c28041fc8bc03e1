"""What is known of a whole core once its segments are scored: how much of each class, and what to look at first."""
