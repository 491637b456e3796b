"""Probes: how well the labels of a dataset are learned from a model's features, by how much is labelled."""
