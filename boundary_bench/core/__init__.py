"""What every room stands on: errors, files that are written whole, locks, Parquet, provenance, randomness."""
