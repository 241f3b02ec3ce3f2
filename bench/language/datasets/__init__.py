"""The datasets that ship: one file each, whose name is the dataset's."""
