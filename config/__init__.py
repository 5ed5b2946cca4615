"""What an operator decides: configuration classes, strict loading, and the shipped profiles."""
