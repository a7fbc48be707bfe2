"""The HTTP interface: blueprints over the data layer and identity, and the errors they answer with."""
