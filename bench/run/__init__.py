"""One run: what pytest tells it, what its process owns, what a worker sees of it, how an item ends."""
