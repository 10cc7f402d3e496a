"""The machine that a stage runs on: environments, GPUs, folders that several machines share, SLURM."""
