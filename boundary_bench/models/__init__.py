"""Model folders in Hugging Face format, and their download from the hub."""
