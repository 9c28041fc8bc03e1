"""The assets that learn, and the features of images that some of them learn from."""
