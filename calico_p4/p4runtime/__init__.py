"""P4Runtime as a client: connecting and arbitration, writes with per-update errors, read-back."""
