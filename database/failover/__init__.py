"""What the connection manager needs to know when a database is away: who is well, who may answer, when to return."""
