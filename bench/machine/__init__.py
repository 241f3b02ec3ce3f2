"""The machine: cores, leases, threads, memory, environment, processes. Knows Linux, not models."""
