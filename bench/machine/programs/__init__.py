"""Programs that somebody else wrote, run with their tests in a jail."""
