"""The messages of a run, and the programs that send, request and check them."""
