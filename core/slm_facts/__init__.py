"""Facts on the machine and the base model, read without loading anything heavy."""
