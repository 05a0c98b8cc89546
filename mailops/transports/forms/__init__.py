"""All validation of what people enter about transports, credentials and streams."""
