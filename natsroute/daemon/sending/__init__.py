"""What a service sends with: publish workers, requests, streams and buckets."""
