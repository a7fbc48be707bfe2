"""Identity: keys, access tokens, accounts, and the guards of routes. Knows the data layer, never the HTTP interface."""
