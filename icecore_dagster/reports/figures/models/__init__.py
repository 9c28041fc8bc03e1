"""Pictures of trained models: how well they do, and what they look at."""
