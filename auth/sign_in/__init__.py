"""Sign-in: accounts with passwords, tokens of other issuers, and limits on guessing."""
