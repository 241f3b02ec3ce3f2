"""Names the plugin modules, nothing else."""

pytest_plugins = (
    "bench.plugin",
    "fixtures.run",
    "fixtures.acceleration",
    "fixtures.language",
    "fixtures.tuning",
    "fixtures.regression",
    "fixtures.reranking",
    "fixtures.evaluated",
)
