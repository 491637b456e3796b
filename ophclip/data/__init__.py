"""From shards to batches: sampling that depends on (seed, step) alone, decoding, tokens, augmentation on the device."""
