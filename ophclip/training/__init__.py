"""The training run: alternating levels, retrieval from the knowledge bank, schedule, checkpoints."""
