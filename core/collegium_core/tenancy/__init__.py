"""Tenants: their names, records, registry and the scope that binds stores and log to one of them."""
