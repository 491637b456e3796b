"""From sound to words on the clock of the video."""
