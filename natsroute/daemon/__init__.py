"""The face that twistd shows."""
