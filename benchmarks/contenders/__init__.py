"""What Isthmus is measured beside."""
