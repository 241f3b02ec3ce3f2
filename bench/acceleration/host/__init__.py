"""Processes for untrusted code: a fork server, its arms, how they are asked, paused, ended and explained."""
