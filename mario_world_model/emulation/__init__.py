"""The NES: where the ROM is, what its RAM means, and the backends that run it."""
