"""The rules of IMDS for its callers: what the record of a test says of the clients that it was asked by."""
