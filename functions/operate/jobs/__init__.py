"""What became of jobs, and what an operator can do about them."""
