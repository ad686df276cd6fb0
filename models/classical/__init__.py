"""Classical forecasters, one file each."""
