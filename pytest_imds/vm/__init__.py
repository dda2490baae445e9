"""The virtual machine: its model, how one is generated, how each api-version shows it."""
