"""What every part of Collegium shares: rules, log, stores, tenants, security, settings, telemetry."""
