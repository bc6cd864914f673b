"""Candidates, judges, reward, live ranking and safety. Knows nothing of databases or pages."""
