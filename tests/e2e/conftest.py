"""The browser and the server for the tests in this folder."""

from browser import begun, chromium, served, visit

__all__ = ["begun", "chromium", "served", "visit"]
