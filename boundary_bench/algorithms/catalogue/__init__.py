"""Named algorithms, one file a family."""
