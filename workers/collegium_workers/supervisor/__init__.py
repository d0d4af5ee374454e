"""``collegium up``: the whole platform on one machine, every process of it started, watched, restarted and stopped."""
