"""How sure one can be of figures over episodes and training seeds: NumPy alone, no files, no printing."""
