"""A run that is split over the jobs of a cluster: `modelgate submit`."""
