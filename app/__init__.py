"""What people touch: commands, settings, logs, wiring; later the pages, the API and the scheduler."""
