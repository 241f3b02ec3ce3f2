"""Arrays in, estimates out: paired times, bootstrap, proportions, sequential looks."""
