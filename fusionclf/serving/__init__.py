"""A finished run behind a web page and an HTTP endpoint (extra `serve`)."""
