"""What makes a record not worth training on."""
