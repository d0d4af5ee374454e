"""Consumers of the log, and the supervisor that runs a platform on one machine."""
