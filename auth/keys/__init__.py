"""Signing keys of access tokens: storage, rotation and states."""
