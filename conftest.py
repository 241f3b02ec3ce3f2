"""Names the plugin modules, nothing else."""

pytest_plugins = ("bench.plugin", "fixtures.acceleration", "fixtures.language")
