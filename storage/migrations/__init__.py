"""How the tables came to be what `models.py` says. `env.py` runs inside Alembic; `storage/migrate.py` is the door."""
