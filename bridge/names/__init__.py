"""Names to addresses: asks name servers where a device cannot. The only room that imports dns."""
