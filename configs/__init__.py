"""What is trained: base.py has every key, each other file is one result."""
