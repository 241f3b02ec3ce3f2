"""Measuring: paired statistics, device leases, memory and environment; nothing here knows pytest."""
