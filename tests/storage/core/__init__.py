"""What a store does before its backend is asked, and with what comes back."""
