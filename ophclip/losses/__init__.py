"""Losses as pure functions of vectors: no model, no configuration, no state."""
