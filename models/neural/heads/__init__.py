"""Outputs of a network to the law of the standardised return, one file each."""
