"""Tenants: their record, their stores, and pods of their own where they ask for them."""
