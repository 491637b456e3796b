"""What each part of the method brings: the runs of a sweep over conf/variant, side by side."""
