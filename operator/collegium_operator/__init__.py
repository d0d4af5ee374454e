"""The Kubernetes operator: Tenants in, records, indices and pods out."""
