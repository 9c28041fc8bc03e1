"""Image networks: their architectures as data, the images they take, the training transform, and the one training loop."""
