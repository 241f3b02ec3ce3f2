"""What the page of a run shows of acceleration cases."""
