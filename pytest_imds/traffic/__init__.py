"""What was asked of a server and answered: the record, what tests assert of it, what is told of it on failure."""
