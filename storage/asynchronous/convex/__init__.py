"""Storage through functions of an application's own, such as those of a Convex deployment."""
