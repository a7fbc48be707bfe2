"""The backend of Cosmos DB."""
