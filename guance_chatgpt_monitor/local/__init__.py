"""Stand-ins to try the product with and to test it against: Func, DataKit and OpenAI on loopback."""
