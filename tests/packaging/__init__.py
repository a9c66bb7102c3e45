"""natsroute as it is built, installed and removed. These tests need a package index."""
