"""The acceleration methods that ship; each module registers some."""
