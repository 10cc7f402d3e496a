"""Snakemake on SLURM: what workflows/profiles/slurm asks of the cluster. Nothing else of the project knows SLURM."""
