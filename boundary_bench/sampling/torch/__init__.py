"""The torch engine: prefix-tree sampling and its decoders."""
