"""The pages of transports, credentials and streams."""
