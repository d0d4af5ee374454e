"""What the platform tells of itself: metrics, and log lines."""
