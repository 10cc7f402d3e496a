"""What the literature says, as data, and what the tables of a study say of it."""
