"""Who plays: reference agents and trained ones behind one protocol."""
