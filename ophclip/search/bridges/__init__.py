"""Hits to the tools in which people look at them and label, and labels back."""
