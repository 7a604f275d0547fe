"""Networks and the agent built from them: pure torch, no files, no printing."""
