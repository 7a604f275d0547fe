"""The Mario environment and the plumbing every stage shares: files, workers, seeds, devices, logs."""
