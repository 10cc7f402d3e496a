"""The stored samples of every policy: blocks of responses and their grades."""
