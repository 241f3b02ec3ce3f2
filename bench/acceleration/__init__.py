"""Accelerated diffusion pipelines: task files, isolated arms, configuration, timing and judging."""
