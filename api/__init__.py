"""The HTTP interface: routes on top of the data layer and of authentication, and error responses."""
