"""What all tenants share: API and worker Deployments, Service and ConfigMap of the release."""
