"""Sessions: refresh tokens, cookies, and what becomes of access tokens when a session has ended."""
