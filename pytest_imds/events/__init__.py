"""Coming maintenance: scheduled events, and the VMs that see them."""
