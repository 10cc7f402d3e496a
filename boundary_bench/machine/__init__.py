"""The machine that a stage runs on: environments, GPUs, shared folders, SLURM."""
