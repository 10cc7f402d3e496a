"""Tables as data: which there are, how they are read, written and shown."""
