"""What a service consumes: subjects, streams, and streams from their beginning."""
