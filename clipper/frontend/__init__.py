"""HTTP: the query fast path, the admin routes, and errors to status codes; no logic."""
