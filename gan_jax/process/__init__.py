"""How a process joins others, is stopped, and ends."""
