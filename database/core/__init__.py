"""The lowest layer: types, errors and the portable query. It imports none of the other layers."""
