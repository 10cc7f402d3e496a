"""Model folders in Hugging Face format, and the hub that they come from."""
