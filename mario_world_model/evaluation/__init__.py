"""How good an agent is in the real game, and what it looks like."""
