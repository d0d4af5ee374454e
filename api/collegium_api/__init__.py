"""The HTTP door of Collegium."""
