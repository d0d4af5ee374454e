"""The xAPI resources."""
