"""The tables of a study: declared, read, written and formatted."""
