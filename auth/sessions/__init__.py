"""Sessions: refresh tokens, cookies, and the revocation of access tokens."""
