"""What puts load on a server and what it looks like: jobs, traffic, the feeder, the asker and the witness."""
