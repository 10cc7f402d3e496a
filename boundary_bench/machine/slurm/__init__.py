"""Snakemake on SLURM, for workflows/profiles/slurm: checks of the cluster, and repairs of Snakemake's plugin."""
