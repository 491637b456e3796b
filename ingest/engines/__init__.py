"""Ways to have batches done elsewhere than in this machine's processes."""
