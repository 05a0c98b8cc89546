"""Thin wrappers without models around the machine and the libraries mailops stands on."""
