"""What arm and host say to each other: messages, pixels, and how both travel."""
