"""What a model is to those who speak with it: messages to token ids, its interface, and the export gate."""
