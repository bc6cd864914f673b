"""What Attune keeps: rows, migrations, the store, encryption, retention, the clock.

Start with `store.py`, the door that everybody else comes through. Rows (`models.py`) never leave this package;
callers get the frozen values of `values.py` and the errors of `errors.py`.
"""
