"""The datasets that ship: one file each, named as the dataset is asked for."""
