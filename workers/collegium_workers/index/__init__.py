"""From the log into the store."""
