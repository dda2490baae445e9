"""The test root of trust: certificates, attested documents, their forgeries, and the verifier that tells them apart."""
