"""Statements in and out of a platform from the command line: demo, import, export, and what goes with them."""
