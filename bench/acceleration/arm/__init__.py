"""Inside an arm's process: sandbox, loading, detection, observation."""
