"""Tests of the record stores."""
