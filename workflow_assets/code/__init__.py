"""What is known of a piece of code: its text in one form, what it uses, what it changes."""
