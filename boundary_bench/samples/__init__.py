"""What is stored of every policy: blocks of samples and their grades."""
