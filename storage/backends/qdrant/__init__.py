"""The backend of Qdrant."""
