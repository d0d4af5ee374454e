"""Where statements, documents and files are kept: the ports, and their implementations."""
