"""Database schemas: migrations, reflection and Convex schema files."""
