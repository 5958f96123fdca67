"""Services from the Kubernetes API: list and watch over HTTP, in a thread of its own (optional extra ``kubernetes``)."""
