"""Reading labelled datasets, scoring a bundle on them without training, and drawing what came out."""
