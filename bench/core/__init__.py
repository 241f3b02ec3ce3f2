"""What every kind of case shares: cases, estimates, gates, verdicts, records, evaluations, the registry."""
