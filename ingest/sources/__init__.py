"""Where videos come from: a folder, a list, a bucket, addresses."""
