"""A video taken out of everything that was made from it, and the record of it."""
