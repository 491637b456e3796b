"""From a figure or a search hit back to all that it rests on."""
