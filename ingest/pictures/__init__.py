"""What the pictures show: whether it is surgery, whether it was seen before, whether it names a patient."""
