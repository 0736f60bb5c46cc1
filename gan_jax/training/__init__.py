"""The loop, and what happens between its dispatches."""
