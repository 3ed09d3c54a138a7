"""What the command line says, in Chinese."""
