"""What is known at an origin to one vector, one file each."""
