"""Samples and counts that others stored: from the rows of their files to the counts of every problem."""
