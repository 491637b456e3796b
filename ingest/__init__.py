"""From a folder of surgical videos to hierarchical clip and title text, in training shards."""
