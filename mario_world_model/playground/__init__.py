"""The page: play the dream beside the real game."""
