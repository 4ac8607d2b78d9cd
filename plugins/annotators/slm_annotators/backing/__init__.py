"""Label Studio's ML backend protocol, answered by served models."""
