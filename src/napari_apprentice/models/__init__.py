"""Models: a description, weights as plain tensors, and the networks they belong to."""
