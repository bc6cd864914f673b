"""`attune doctor`: prints what `app/doctor.py` found."""

import click

from app import doctor
from app.commands import as_json, tell

_MARKS = {"ok": "ok  ", "warning": "note", "failed": "FAIL"}


@click.command()
@as_json
def command(json_wanted: bool) -> int:  # noqa: FBT001
    """Say what works, what does not, and what to do. Exits with 1 if something does not work."""
    checks = doctor.examine()
    lines = [f"{_MARKS[c.state]}  {c.name}: {c.detail}" + (f"\n      {c.advice}" if c.advice else "") for c in checks]
    well = all(check.state != "failed" for check in checks)
    lines.append("Everything that is needed works." if well else "Something does not work: see FAIL above.")
    tell(json_wanted, {"ok": well, "checks": checks}, "\n".join(lines))
    return 0 if well else 1
