"""What the columns of a table are: kinds, type detection and their JSON."""
