"""From counts to tables: estimates with intervals, comparisons with the base, means over the training seeds."""
