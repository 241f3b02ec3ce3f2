"""Names the plugin modules, nothing else."""

pytest_plugins = ("bench.plugin", "fixtures.run", "fixtures.cases")
