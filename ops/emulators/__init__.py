"""Servers that speak the providers' wire protocols, for the demo and the tests. Never part of production."""
