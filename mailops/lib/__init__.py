"""Thin wrappers without a domain around the machine and the libraries mailops stands on."""
