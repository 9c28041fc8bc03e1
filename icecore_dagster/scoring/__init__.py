"""Trained models applied to particles: probabilities, anomaly scores and embeddings, streamed."""
