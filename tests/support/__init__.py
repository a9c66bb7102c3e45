"""What the tests share: servers, clients, certificates, processes and in-memory doubles."""
