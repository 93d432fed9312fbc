"""What a customer asks for: submission, conversations and requests. Knows no PDUs."""
