"""`iqa-score`: the metrics over folders, buckets and manifests, without a server."""
