"""How bytes travel: endpoints, TLS, WebSocket, flow control and the write timeout."""
