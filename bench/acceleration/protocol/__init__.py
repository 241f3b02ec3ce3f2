"""What arm and host say to each other: messages and pixels."""
