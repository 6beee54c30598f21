"""What the user wrote, and what detection adds to it: a folder becomes a `Project` value."""
