"""The vLLM engine, which draws with our own uniform numbers."""
