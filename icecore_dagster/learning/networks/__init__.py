"""Image networks: their architectures as data, the images they take, and the one training loop."""
